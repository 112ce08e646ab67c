"""Events in, rows out: to the last digit, once, and soon."""

import asyncio
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment

from projections.runner import ProjectorStopped, Runner
from schemas import outputs
from schemas.event_types import CHALLENGE_COMPLETED, REWARD_GRANTED, REWARD_UPDATED
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, MEMBER_EVENTS, partition_for
from tests.integration.projections.driving import (
    caught_up,
    projecting,
    query,
    table,
    writing,
)
from tests.odd_headers import NoText, OddRecord, poison, send_odd
from tests.unit.projections.events import (
    CHALLENGE,
    MILESTONE,
    PERIOD,
    PROJECT,
    log_recorded,
    member_of,
    member_upserted,
    milestone_reached,
    progressed,
    reward,
    reward_changed,
)


async def test_a_log_and_what_it_led_to_is_in_the_tables_to_the_last_digit(
    settings: Settings,
) -> None:
    member = member_of(1)
    given = reward(member)
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(
            member_upserted(1, 1, groups=["gold", 'a,"b"'], first_name="Zoë\t\\N"),
            log_recorded(
                member,
                1,
                value="0.000000001",
                total="99999999999999999999.999999999",
                sequence=2,
                achieved_milestones=[],
                achieved_milestone_reward_logs=[given],
            ),
            progressed(CHALLENGE_COMPLETED, member, "99999999999999999999.999999999", 2),
            milestone_reached(member, "99999999999999999999.999999999", 2),
            reward_changed(REWARD_GRANTED, member, 2),
        )
        await writer.commit(reward_changed(REWARD_UPDATED, member, 3, coupon_code="X", version=2))
        await caught_up(settings)
    largest = Decimal("99999999999999999999.999999999")
    assert query(
        settings,
        "SELECT project, member_id, period_key, activity_value, progress_value, "
        "achieved_milestone_reward_log_ids, next_milestone_id FROM milestream.challenge_logs",
    ) == [
        (
            PROJECT,
            UUID(member),
            PERIOD,
            Decimal("0.000000001"),
            largest,
            [UUID(given.id)],
            UUID(MILESTONE),
        )
    ]
    assert query(
        settings,
        "SELECT challenge_id, current_progress_value, sequence FROM milestream.challenge_progress",
    ) == [(UUID(CHALLENGE), largest, 2)]
    assert query(settings, "SELECT value FROM milestream.milestones_reached") == [(largest,)]
    assert query(settings, "SELECT coupon_code, version FROM milestream.reward_logs") == [("X", 2)]
    assert query(settings, "SELECT groups, first_name FROM milestream.members") == [
        (["gold", 'a,"b"'], "Zoë\t\\N")
    ]


async def test_what_was_aborted_is_never_visible_and_its_markers_are_passed(
    settings: Settings,
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(log_recorded(member_of(1), 1))
        await writer.abort(log_recorded(member_of(1), 2), member_upserted(1, 1))
        await writer.abort(*(log_recorded(member_of(n), 2) for n in range(20)))
        await caught_up(settings)
        assert len(table(settings, "challenge_logs")) == 1
        assert table(settings, "members") == []


async def test_a_committed_log_is_visible_without_another_that_follows_it(
    settings: Settings,
) -> None:
    """How soon it is tells `make bench`."""
    async with (
        writing(settings) as writer,
        projecting(Runner(settings)),
        await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as connection,
        asyncio.timeout(120),
    ):
        await writer.commit(log_recorded(member_of(0), 0))
        await caught_up(settings)
        for number in range(1, 31):
            await writer.commit(log_recorded(member_of(number), number))
            visible = 0
            while visible < number + 1:
                await asyncio.sleep(0.002)
                cursor = await connection.execute("SELECT count(*) FROM milestream.challenge_logs")
                visible = (await cursor.fetchall())[0][0]


async def test_a_header_name_that_is_no_text_stops_no_read_model(settings: Settings) -> None:
    event = member_upserted(1, 1, first_name="Ada")
    place = partition_for(event.subject, settings.partitions)
    odd: OddRecord = (event.subject.encode(), outputs.encode(event), [(NoText("odd"), b"v")])
    await poison(settings, DEFINITIONS)
    await send_odd(settings, MEMBER_EVENTS, [odd], place)
    async with projecting(Runner(settings)):
        await caught_up(settings)
    assert query(settings, "SELECT first_name FROM milestream.members") == [("Ada",)]


async def test_a_projector_whose_fetcher_has_ended_ends_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka tells it only to who waits for records just then."""

    def fail(fetcher: Fetcher, assignment: Assignment) -> object:
        raise ValueError(f"something new: {fetcher}, {assignment}")

    monkeypatch.setattr(Fetcher, "_get_actions_per_node", fail)
    with pytest.raises(ProjectorStopped, match="Unexpected error during data retrieval"):
        await asyncio.wait_for(Runner(settings).run(), 60)

"""Every record once, whatever happens: projectors that fight, are killed, or lose the database."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pytest

from projections import database
from projections.metrics import Metrics
from projections.runner import ProjectorStopped, Runner
from schemas import topics
from schemas.database_connections import LIVENESS
from schemas.dead_letter import DeadLetter, Header
from schemas.outputs import encode
from schemas.settings import Settings
from tests import forking
from tests.faults.proxy import Proxy
from tests.forking import Forked
from tests.integration.projections.driving import (
    Writer,
    caught_up,
    projecting,
    query,
    table,
    writing,
)
from tests.integration.projections.histories import Events, History, Logs
from tests.unit.projections.events import AT, log_recorded, member_of, member_upserted

HISTORIES = pytest.mark.parametrize("make", [Logs, Events])


async def test_redelivery_of_whole_rows_changes_nothing(settings: Settings) -> None:
    history = Logs()
    async with writing(settings) as writer:
        async with projecting(Runner(settings)):
            await writer.commit(*history.next(300), member_upserted(1, 1))
            await writer.commit(*history.next(300), member_upserted(1, 2, city="Ulm"))
            await caught_up(settings)
        names = ("challenge_logs", "challenge_progress", "members")
        before = [table(settings, name) for name in names]
        with psycopg.connect(settings.database_url) as connection:
            connection.execute("UPDATE milestream.projection_checkpoints SET next_offset = 0")
        async with projecting(Runner(settings)):
            await caught_up(settings)
    assert [table(settings, name) for name in names] == before
    history.check(settings)


@HISTORIES
async def test_two_projectors_that_hold_the_same_partitions_let_each_record_in_once(
    settings: Settings, make: type[History]
) -> None:
    history = make()
    held = [(topic, number) for topic in history.topics for number in range(settings.partitions)]
    metrics = [Metrics() for _ in range(3)]

    def conflicts() -> float:
        return sum(m.registry.get_sample_value(CONFLICTS) or 0 for m in metrics)

    async with writing(settings) as writer:
        await writer.commit(*history.next(500))
        async with (
            projecting(Runner(settings, partitions=held, metrics=metrics[0])),
            projecting(Runner(settings, partitions=held, metrics=metrics[1])),
            projecting(Runner(settings, metrics=metrics[2])),
        ):
            rounds = 0
            while rounds < 40 or (conflicts() == 0 and rounds < 400):
                await writer.commit(*history.next(50))
                rounds += 1
            await caught_up(settings)
    history.check(settings)
    assert conflicts() > 0, "they never met: the test shows nothing"


async def test_projectors_of_different_partitions_add_to_the_same_rows_without_deadlock(
    settings: Settings,
) -> None:
    history = Events()
    metrics = [Metrics() for _ in range(settings.partitions)]
    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(writing(settings))
        for number, own in enumerate(metrics):
            held = [(topic, number) for topic in history.topics]
            runner = Runner(settings, partitions=held, metrics=own)
            await stack.enter_async_context(projecting(runner))
        for _ in range(40):
            await writer.commit(*history.next(100))
        await stack.enter_async_context(projecting(Runner(settings)))
        await caught_up(settings)
    history.check(settings)
    assert [m.registry.get_sample_value(RETRIES, {"cause": "PostgreSQL"}) for m in metrics] == [
        None
    ] * settings.partitions


CONFLICTS = "milestream_projector_checkpoint_conflicts_total"
RETRIES = "milestream_projector_retries_total"


@contextmanager
def _process(settings: Settings) -> Iterator[Forked]:
    """Run ``milestream projector``; it does not outlive the test."""
    with tempfile.TemporaryFile() as log:
        child = forking.start(["projector"], os.environ | settings.to_env(), log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def _flow(writer: Writer, history: History, total: int) -> None:
    while history.done < total:
        await writer.commit(*history.next(250))


@HISTORIES
async def test_a_projector_killed_again_and_again_loses_and_doubles_nothing(
    settings: Settings, make: type[History]
) -> None:
    history = make()
    async with writing(settings) as writer:
        flowing = asyncio.create_task(_flow(writer, history, 20_000))
        kills = 0
        while not flowing.done() or kills < 3:
            with _process(settings) as child:
                await asyncio.to_thread(_wait_for_progress, settings)
                await asyncio.sleep(0.1 * (kills % 3))
                child.send_signal(signal.SIGKILL)
                kills += 1
            if kills == 3:
                await flowing
        await flowing
        with _process(settings) as child:
            await writer.commit(*history.next(10))  # so that this one has something to do
            await caught_up(settings)
            child.terminate()
            assert await asyncio.to_thread(child.wait, 60) == 0
    history.check(settings)


def _wait_for_progress(settings: Settings) -> None:
    """Return when a projector has committed something, or has nothing to do for a while."""
    text = "SELECT coalesce(sum(next_offset), 0) FROM milestream.projection_checkpoints"
    before = query(settings, text)
    for _ in range(150):
        if query(settings, text) != before:
            return
        asyncio.run(asyncio.sleep(0.02))


_HANG_UP = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'milestream-projector'"
)


async def test_a_projector_goes_on_after_the_database_hung_up(settings: Settings) -> None:
    history = Logs()
    async with writing(settings) as writer, projecting(Runner(settings)):
        for _ in range(10):
            await writer.commit(*history.next(100))
            query(settings, _HANG_UP)
        await caught_up(settings)
    history.check(settings)


async def test_a_last_transaction_that_failed_is_tried_again_though_nothing_follows(
    settings: Settings,
) -> None:
    held = [(topics.MEMBER_EVENTS, number) for number in range(settings.partitions)]
    ways = {
        "overtaken": "UPDATE milestream.projection_checkpoints SET next_offset = 0",
        "hung up": _HANG_UP,
    }
    metrics = Metrics()
    async with (
        writing(settings) as writer,
        projecting(Runner(settings, partitions=held, metrics=metrics)),
    ):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)
        for sequence, (way, statement) in enumerate(ways.items(), 2):
            with psycopg.connect(settings.database_url) as other:
                other.execute("SELECT FROM milestream.projection_checkpoints FOR UPDATE")
                await writer.commit(member_upserted(1, sequence, city=way))
                await _waits_for_a_lock(settings)
                other.execute(statement.encode())
            await caught_up(settings)
            assert query(settings, "SELECT city FROM milestream.members") == [(way,)]
    assert metrics.registry.get_sample_value(CONFLICTS) == 1
    assert metrics.registry.get_sample_value(RETRIES, {"cause": "PostgreSQL"}) == 1


async def _waits_for_a_lock(settings: Settings) -> None:
    """Return when a projector waits for a lock of another."""
    text = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'milestream-projector' AND wait_event_type = 'Lock'"
    )
    for _ in range(600):
        if await asyncio.to_thread(query, settings, text):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no projector waits")


async def test_a_database_that_stays_away_stops_the_projector(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/x"})
    with pytest.raises(ProjectorStopped, match="PostgreSQL"):
        await asyncio.wait_for(Runner(away, patience_s=0.5).run(), 60)


@contextmanager
def _line(settings: Settings) -> Iterator[tuple[Settings, Proxy]]:
    """Settings of one who asks the database by a line, and the line."""
    url = urlsplit(settings.database_url)
    assert url.port is not None
    line = Proxy(url.port)
    behind = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{line.port}").geturl()
    try:
        yield settings.model_copy(update={"database_url": behind}), line
    finally:
        line.close()


def _retries(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value(RETRIES, {"cause": "PostgreSQL"}) or 0


async def test_a_database_that_stands_still_is_waited_for_on_another_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It acknowledges what it is sent, so no connection ends by itself."""
    monkeypatch.setattr(database, "ANSWER_S", 1.0)
    metrics = Metrics()
    async with writing(settings) as writer:
        with _line(settings) as (behind, line):
            async with projecting(Runner(behind, metrics=metrics)):
                await writer.commit(member_upserted(1, 1))
                await caught_up(settings)
                before = _retries(metrics)
                line.halve()
                await writer.commit(member_upserted(1, 2, city="Ulm"))
                for _ in range(1200):
                    if _retries(metrics) > before:
                        break
                    await asyncio.sleep(0.05)
                else:
                    raise AssertionError("it waits for ever")
                line.heal()
                await caught_up(settings)
    assert query(settings, "SELECT city FROM milestream.members") == [("Ulm",)]


async def test_a_database_that_goes_on_standing_still_stops_the_projector(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ANSWER_S", 1.0)
    monkeypatch.setitem(LIVENESS, "connect_timeout", 2)
    async with writing(settings) as writer:
        with _line(settings) as (behind, line):
            runner = Runner(behind)
            running = asyncio.create_task(runner.run())
            await writer.commit(member_upserted(1, 1))
            await caught_up(settings)
            line.halve()
            runner._patience._limit = 0.1
            await writer.commit(member_upserted(1, 2, city="Ulm"))
            with pytest.raises(ProjectorStopped, match="PostgreSQL"):
                await asyncio.wait_for(running, 60)


async def test_topics_that_stay_away_stop_the_projector(settings: Settings) -> None:
    other = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}none-"})
    with pytest.raises(ProjectorStopped, match="topics are missing"):
        await asyncio.wait_for(Runner(other, patience_s=0.5).run(), 60)


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        b"{}",
        encode(log_recorded(member_of(1), 1)).replace(b"challenge_log.recorded", b"from.later"),
        encode(log_recorded(member_of(1), 1)).replace(b'"activityId":"steps",', b""),
    ],
)
async def test_an_output_that_cannot_be_read_stops_the_projector_and_nothing_passes_it(
    settings: Settings, value: bytes
) -> None:
    async with writing(settings) as writer:
        await writer.put(topics.PROGRESS_EVENTS, 2, b"k", value)
        with pytest.raises(ProjectorStopped, match="progress-events, partition 2, offset 0"):
            await asyncio.wait_for(Runner(settings).run(), 60)
    assert query(
        settings,
        "SELECT max(next_offset) FROM milestream.projection_checkpoints WHERE topic = %s",
        topics.PROGRESS_EVENTS,
    ) == [(0,)]


async def test_a_checkpoint_beyond_the_topic_stops_the_projector(settings: Settings) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(log_recorded(member_of(1), 1))
        await caught_up(settings)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("UPDATE milestream.projection_checkpoints SET next_offset = 1000")
    with pytest.raises(ProjectorStopped, match="rebuild"):
        await asyncio.wait_for(Runner(settings).run(), 60)


async def test_definitions_that_are_none_are_skipped(settings: Settings) -> None:
    records: list[tuple[bytes | None, bytes | None]] = [
        (None, b"{}"),
        (b"", b"{}"),
        (b"\xff", b"{}"),
        (b"acme/challenge/not-a-uuid", None),
        (b"acme/challenge/11111111-1111-4111-8111-111111111111", b"NaN"),
        (b"acme/challenge/11111111-1111-4111-8111-111111111111", b"[" * 5000),
        (b"acme/challenge/11111111-1111-4111-8111-111111111111", b'{"name":"x"}'),
        (
            b"acme/challenge/11111111-1111-4111-8111-111111111111",
            (
                b'{"id":"11111111-1111-4111-8111-111111111111","name":"Steps \\\\ \\t",'
                b'"completionTargetValue":0.000000001,"activityIds":["a,b","c\\"d",""]}'
            ),
        ),
        (
            b"acme/challenge/11111111-1111-4111-8111-111111111111",
            (
                b'{"id":"11111111-1111-4111-8111-111111111111","name":"Steps \\\\ \\t",'
                b'"completionTargetValue":0.000000001,"activityIds":["a,b","c\\"d"]}'
            ),
        ),
    ]
    async with writing(settings) as writer, projecting(Runner(settings)):
        for key, value in records:
            await writer.put(topics.DEFINITIONS, 0, key, value)
        await caught_up(settings)
        assert query(
            settings,
            "SELECT name, completion_target_value, activity_ids, created_at = updated_at "
            "FROM milestream.challenges",
        ) == [("Steps \\ \t", Decimal("0.000000001"), ["a,b", 'c"d'], True)]
        await writer.put(topics.DEFINITIONS, 0, records[-1][0], None)
        await caught_up(settings)
        assert table(settings, "challenges") == []


async def test_a_dead_letter_with_any_text_is_kept(settings: Settings) -> None:
    letter = DeadLetter(
        reason="malformed",
        message="no JSON: \x00 \\ \t",
        project=None,
        topic=topics.CHALLENGE_LOGS,
        partition=1,
        offset=7,
        key="a\x00b",
        value="AAE=",
        headers=[Header("h\x00", None)],
        attempts=1,
        at=AT,
    )
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.put(topics.DEAD_LETTERS, 1, None, encode(letter))
        await caught_up(settings)
    assert query(
        settings,
        'SELECT message, key, key_encoding, value, headers, "offset" FROM milestream.dead_letters',
    ) == [
        (
            "no JSON: \ufffd \\ \t",
            "YQBi",
            "base64",
            "AAE=",
            [{"key": "h\ufffd", "value": None}],
            7,
        )
    ]

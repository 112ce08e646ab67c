"""A hundred redemptions of one member at once, over HTTP and Kafka, with a kill in between."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from schemas import ids
from schemas.settings import Settings
from schemas.topics import MEMBER_COMMANDS
from tests.integration.api.game_mechanics import Caller, caller, define_action, make_member
from tests.integration.api.serving import PROJECT, Served, process, served
from tests.integration.projections.driving import caught_up
from tests.stack import FreshSettings

REDEMPTIONS = 100
GRANTED = 5_000
"""Less than all redemptions together: the balance ends at 0, whatever their order."""


@pytest.fixture
def api(fresh_settings: FreshSettings, tmp_path: Path) -> Iterator[Served]:
    """An API and a projector; the worker is the test's own."""
    with served(fresh_settings, "projector", log=tmp_path) as made:
        yield made


async def over_kafka(settings: Settings, numbers: list[int]) -> None:
    """Write each of these redemptions twice: the second one changes nothing."""
    producer = AIOKafkaProducer(**settings.kafka_options())
    await producer.start()
    try:
        for number in numbers * 2:
            command = {
                "type": "redeem-points",
                "project": PROJECT,
                "userId": "ann",
                "points": number,
                "uniqueIdentifier": f"r-{number}",
            }
            await producer.send_and_wait(
                settings.topic(MEMBER_COMMANDS), json.dumps(command).encode()
            )
            await asyncio.sleep(0.01)
    finally:
        await producer.stop()


async def over_http(gm: Caller, number: int) -> None:
    """Redeem, and try again with the same identifier until an answer comes."""
    await asyncio.sleep(number / 100)
    identifier = f"r-{number}"
    answer = await gm.until_done(
        "redeemPoints", UID="ann", points=number, uniqueIdentifier=identifier
    )
    assert (answer["errorCode"], answer["points"]) == (0, -number), answer


def entries(settings: Settings) -> list[tuple[int, int, int]]:
    """Return points, balance and total of Ann's entries, in the order of the fold."""
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT points, balance, total_balance FROM milestream.points_ledger "
            "WHERE member_id = %s ORDER BY sequence",
            (ids.member_id(PROJECT, "ann"),),
        ).fetchall()
    return [(int(points), int(balance), int(total)) for points, balance, total in rows]


async def test_the_ledger_is_that_of_one_after_the_other(api: Served, tmp_path: Path) -> None:
    gm = await caller(api)
    numbers = list(range(1, REDEMPTIONS + 1))
    with contextlib.ExitStack() as workers:
        worker = workers.enter_context(process(api.settings, "worker", tmp_path))
        async with gm.client, await api.client() as admin:
            await make_member(admin, "ann")
            await define_action(admin, "gift", GRANTED)
            assert (await gm.until_done("notifyAction", UID="ann", action="gift"))["points"]
            everything = asyncio.gather(
                over_kafka(api.settings, numbers[::2]), *(over_http(gm, n) for n in numbers[1::2])
            )
            await asyncio.sleep(0.4)
            worker.kill()
            worker.wait()
            workers.enter_context(process(api.settings, "worker", tmp_path))
            async with asyncio.timeout(300):
                await everything
                while len(entries(api.settings)) <= REDEMPTIONS:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                await caught_up(api.settings)
            status = await gm("getChallengeStatus", UID="ann")
            log = await gm("getActionsLog", UID="ann")
    ledger = entries(api.settings)
    assert ledger[0] == (GRANTED, GRANTED, GRANTED)
    assert sorted(-points for points, _, _ in ledger[1:]) == numbers
    balance = 0
    for points, after, total in ledger:
        balance = max(0, balance + points)
        assert (after, total) == (balance, balance)
    assert balance == 0
    assert status["achievements"][0]["pointsTotal"] == 0
    assert sum(action["points"] for action in log["actions"]) == GRANTED - sum(numbers)

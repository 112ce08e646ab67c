"""Two hundred spends of one member at once, over HTTP and Kafka, of points for fifty, with a kill
in between."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from schemas import ids
from schemas.settings import Settings
from schemas.topics import MEMBER_COMMANDS
from tests.integration.api.serving import PROJECT, Served, process, run, served
from tests.integration.projections.driving import caught_up, query
from tests.stack import FreshSettings

SPENDS, SUFFICES_FOR = 200, 50
PRICE, OPENING = 7, 7 * 50 + 3
FEW, MORE = 10, 40
"""So many spends are in the tables before the worker is killed, and are under way by then: fewer
than succeed in all."""

ANN = ids.member_id(PROJECT, "ann")
LEDGER = (
    "SELECT operation, points, balance, total_balance, unique_identifier "
    "FROM milestream.points_ledger WHERE member_id = %s ORDER BY sequence"
)


@pytest.fixture
def api(fresh_settings: FreshSettings, tmp_path: Path) -> Iterator[Served]:
    """An API and a projector; the worker is the test's own."""
    with served(fresh_settings, "projector", log=tmp_path) as made:
        yield made


def spend(number: int) -> dict[str, Any]:
    """Return one of the spends, as HTTP has it."""
    return {"points": PRICE, "uniqueIdentifier": f"s-{number}", "reason": "all at once"}


async def over_kafka(settings: Settings, numbers: Sequence[int]) -> None:
    """Write each of these spends twice: the second one spends nothing."""
    named = {"type": "spend-points", "project": PROJECT, "userId": "ann"}
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for number in [*numbers, *numbers]:
            value = json.dumps({**named, **spend(number)}).encode()
            await producer.send_and_wait(settings.topic(MEMBER_COMMANDS), value)


async def over_http(client: httpx.AsyncClient, number: int) -> tuple[str, int]:
    """Spend, again with the same identifier until an answer comes; return it and the status."""
    while True:
        answer = await client.post("/v1/user/ann/spend", json=spend(number))
        if answer.status_code not in (202, 503):
            break
        await asyncio.sleep(0.1)
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code == 409:
        assert answer.json()["code"] == "insufficient_points"
        assert answer.json()["available"] < PRICE == answer.json()["asked"]
    return f"s-{number}", answer.status_code


async def everything(
    settings: Settings, client: httpx.AsyncClient, numbers: Sequence[int]
) -> list[tuple[str, int]]:
    """Send half of these spends over Kafka and half over HTTP; return what HTTP answered."""
    kafka = asyncio.create_task(over_kafka(settings, numbers[::2]))
    answers = await asyncio.gather(*(over_http(client, number) for number in numbers[1::2]))
    await kafka
    return answers


async def spent(settings: Settings, at_least: int) -> None:
    """Wait until the ledger has as many spends."""
    async with asyncio.timeout(120):
        while sum(row[0] == "spend" for row in query(settings, LEDGER, ANN)) < at_least:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_exactly_as_many_spends_succeed_as_there_are_points_for(
    api: Served, tmp_path: Path
) -> None:
    settings = api.settings
    with contextlib.ExitStack() as workers:
        worker = workers.enter_context(process(settings, "worker", tmp_path))
        async with await api.client() as client, asyncio.timeout(400):
            made = await client.post("/schema/member/record", json={"externalId": "ann"})
            assert made.status_code in (201, 202), made.text
            await opened(client)
            answers = await everything(settings, client, range(FEW))
            await spent(settings, FEW)
            during = asyncio.create_task(everything(settings, client, range(FEW, MORE)))
            await spent(settings, FEW + 1)
            worker.kill()
            worker.wait()
            after = asyncio.create_task(everything(settings, client, range(MORE, SPENDS)))
            workers.enter_context(process(settings, "worker", tmp_path))
            answers = [*answers, *await during, *await after]
        await caught_up(settings)
        verified = await asyncio.to_thread(run, settings, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    ledger = query(settings, LEDGER, ANN)
    check(settings, ledger, dict(answers))


async def opened(client: httpx.AsyncClient) -> None:
    """Give Ann her points, once her worker has begun."""
    body = {"points": OPENING, "uniqueIdentifier": "o", "reason": "opening balance"}
    while True:
        answer = await client.post("/user/ann/adjust", json=body)
        if answer.status_code not in (202, 503):
            break
        await asyncio.sleep(0.1)
    assert (answer.status_code, answer.json().get("balance")) == (200, OPENING), answer.text


def check(settings: Settings, ledger: list[tuple[Any, ...]], answers: dict[str, int]) -> None:
    """Compare answers and tables with what one after the other comes to."""
    opening, *spends = ledger
    assert opening[:4] == ("adjust", OPENING, OPENING, OPENING)
    balance = OPENING
    for operation, points, after, total, _ in spends:
        balance += points
        assert (operation, points, after, total) == ("spend", -PRICE, balance, balance)
    assert len(spends) == SUFFICES_FOR
    identifiers = {row[4] for row in spends}
    assert len(identifiers) == SUFFICES_FOR
    assert identifiers <= {f"s-{number}" for number in range(SPENDS)}
    assert len(answers) == SPENDS // 2
    assert {each for each, status in answers.items() if status == 200} == identifiers & set(answers)
    balances = "SELECT balance, held, available, pending FROM milestream.points_balances"
    assert query(settings, balances) == [(3, 0, 3, 0)] == [(balance, 0, balance, 0)]
    assert query(settings, "SELECT balance FROM milestream.points_totals") == [(3,)]
    assert query(settings, "SELECT * FROM milestream.dead_letters") == []

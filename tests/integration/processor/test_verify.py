"""``milestream verify``: says yes to what was written, and finds what was tampered with."""

import asyncio
import json
import os
import subprocess

from aiokafka import TopicPartition

from processor.recorded import Cursor
from schemas.kafka.consumers import consumer
from schemas.settings import Settings
from tests import forking
from tests.integration.processor.driving import (
    History,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    produce,
    wait_folded,
    wait_until,
)

CHANGED = "22222222-2222-4222-8222-222222222201"


def verify(settings: Settings) -> subprocess.CompletedProcess[str]:
    return forking.run(["verify"], os.environ | settings.to_env(), seconds=300)


def folded(settings: Settings) -> int:
    """How many inputs the chunk log accounts for, ticks included."""
    return sum(json.loads(r.value)["count"] for r in drain(settings, "chunk-log"))


def test_what_is_written_while_it_looks_is_not_looked_at(settings: Settings) -> None:
    logs: list[Record] = [("challenge-logs", 0, None, b"%d" % number, ()) for number in range(10)]
    produce(settings, logs)

    async def looked_at(end: int) -> list[bytes | None]:
        place = TopicPartition(settings.topic("challenge-logs"), 0)
        async with consumer(settings, group_id=None) as reader:
            reader.assign([place])
            await reader.seek_to_beginning(place)
            cursor = Cursor(reader, place, end)
            records = [await cursor.next() for _ in range(end + 2)]
        return [None if record is None else record.value for record in records]

    assert asyncio.run(looked_at(5)) == [b"0", b"1", b"2", b"3", b"4", None, None]


def test_outputs_are_what_the_inputs_give_across_definitions_and_kills(settings: Settings) -> None:
    settings = settings.model_copy(update={"tick_seconds": 1})  # so that there are some
    history = History(members=100, seed=20)
    produce(settings, definitions())
    poison: list[Record] = [("challenge-logs", 0, None, b"{", ())]
    with Worker(settings, "w") as worker:
        produce(settings, [*history.records(1_000, settings), *poison])
        wait_folded(settings, history.sent + 1, 180, worker)
        worker.kill()
        lowered = definition(
            "milestone",
            CHANGED,
            name="Lowered",
            linkedSchemaRecordId="11111111-1111-4111-8111-111111111111",
            milestoneTargetValue=50,
        )
        produce(settings, [lowered])
        worker.start()
        produce(settings, history.records(1_000, settings))
        wait_folded(settings, history.sent + 1, 180, worker)
        wait_until(  # ticks come after them
            lambda: folded(settings) > history.sent + 1, 120, lambda: worker.text()[-3000:]
        )
    found = verify(settings)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(f"{folded(settings)} inputs give the ")

    forged = drain(settings, "reward-events")[0]
    produce(settings, [("reward-events", forged.partition, forged.key, forged.value, ())])
    found = verify(settings)
    assert found.returncode == 1
    assert "reward-events" in found.stderr
    assert "no input gives this" in found.stderr

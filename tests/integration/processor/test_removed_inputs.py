"""Inputs that were removed before they were folded are missed loudly, and stop nobody."""

import asyncio
from collections import Counter

from aiokafka import TopicPartition

from schemas import ids
from schemas.kafka import consumers
from schemas.kafka.removal import Removals, watch
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, partition_for
from tests.integration.processor.driving import (
    Worker,
    definitions,
    log,
    produce,
    values,
    wait_folded,
)
from tests.integration.removing import remove_before


def logged(settings: Settings) -> list[str]:
    """The identifiers of the logs that were folded."""
    events = values(settings, "progress-events")
    return [e["data"]["uniqueIdentifier"] for e in events if "challenge_log" in e["type"]]


def test_a_worker_says_what_was_removed_while_it_was_away_and_goes_on(settings: Settings) -> None:
    partition = partition_for(ids.member_id("default", "ann"), settings.partitions)
    produce(settings, definitions())
    produce(settings, [log("ann", f"before-{n}", "1", settings=settings) for n in range(3)])
    worker = Worker(settings, "w")
    with worker:
        wait_folded(settings, 3, 240, worker)
    produce(settings, [log("ann", f"away-{n}", "1", settings=settings) for n in range(4)])
    asyncio.run(remove_before(settings, {(CHALLENGE_LOGS, partition): 5}))
    with worker:
        wait_folded(settings, 5, 240, worker)
        produce(settings, [log("ann", "after", "1", settings=settings)])
        wait_folded(settings, 6, 240, worker)
    expected = ["before-0", "before-1", "before-2", "away-2", "away-3", "after"]
    assert logged(settings) == expected
    said = [line for line in worker.text().splitlines() if "LOST" in line]
    assert len(said) == 1, said
    assert "ERROR" in said[0]
    assert f"{CHALLENGE_LOGS}, partition {partition}" in said[0]
    assert "from offset 3 to 4" in said[0]


def test_what_is_removed_under_a_reader_is_told(settings: Settings) -> None:
    place = TopicPartition(settings.topic(CHALLENGE_LOGS), 0)
    records = [(CHALLENGE_LOGS, 0, None, b"%d" % n, ()) for n in range(10)]

    async def run() -> Counter[str]:
        told: Counter[str] = Counter()
        removals = Removals(lambda topic, offsets: told.update({topic: offsets}))
        reader = consumers.consumer(settings, auto_offset_reset="earliest")
        async with reader:
            watch(reader, lambda tp, begin: removals.look(tp, 4, begin))
            reader.assign([place])
            await asyncio.to_thread(produce, settings, records)
            reader.seek(place, 0)
            first = await reader.getone()
            assert (first.offset, told) == (0, Counter())  # what is there is nothing to tell of
            await remove_before(settings, {(CHALLENGE_LOGS, 0): 7})
            reader.seek(place, 4)
            assert (await reader.getone()).offset == 7
            reader.seek(place, 4)
            assert (await reader.getone()).offset == 7
        return told

    assert asyncio.run(asyncio.wait_for(run(), 120)) == {place.topic: 3}

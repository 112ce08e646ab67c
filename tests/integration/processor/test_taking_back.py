"""A partition that was fenced though nobody else has it is taken back, and nothing is doubled."""

import asyncio
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaProducer

from processor.chunking import Chunk, Stretch
from processor.folding import Folding
from processor.recovery import take_back
from processor.transactions import PartitionProducer
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, changelog_topic
from tests.integration.processor.driving import History, definitions, drain, produce
from tests.integration.processor.taking_over import PARTITION, recovered


async def fence_as_the_broker_does(settings: Settings) -> None:
    """Abort what is open and raise the producer's epoch, as after a transaction's time limit."""
    other = PartitionProducer(settings, PARTITION)
    await other.fence()
    await other.close()


def test_a_transaction_that_the_broker_ended_is_made_again(settings: Settings) -> None:
    history = History(members=30, seed=11)
    produce(settings, definitions())
    given = [r for r in history.records(400, settings) if r[1] == PARTITION]
    produce(settings, given)
    records = [r for r in drain(settings, CHALLENGE_LOGS) if r.partition == PARTITION]
    assert len(records) == len(given)

    async def is_member() -> bool:
        return True

    async def run() -> None:
        async with AsyncExitStack() as stack:
            context = await recovered(settings, stack, binding=False)
            folding = Folding(context, take_back, is_member)
            half = len(records) // 2
            for some in (records[:half], records[half:]):
                await fence_as_the_broker_does(settings)
                stretch = Stretch(CHALLENGE_LOGS, some, some[0].offset, 0)
                assert await folding.fold(Chunk(PARTITION, [stretch], 1, 0), lambda: True)
            position = context.store[PARTITION].position()
            assert position.offsets[CHALLENGE_LOGS] == records[-1].offset + 1
            assert position.sequence == len(records)

    asyncio.run(run())
    seen = {(r.offset, r.value) for r in records}
    assert len(seen) == len(records)
    identifiers = {r.value.split(b'"uniqueIdentifier":"')[1].split(b'"')[0] for r in records}
    events = drain(settings, "progress-events")
    recorded = [e for e in events if b"challenge_log.recorded" in e.value]
    assert len(recorded) == len(identifiers)


def test_a_restore_is_a_step_towards_the_chunk_that_waits_for_it(settings: Settings) -> None:
    """Else a restore that takes long looks like a worker that stands still, and ends it."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            context = await recovered(settings, stack, binding=False)
            changelog = settings.topic(changelog_topic(settings.application_id).name)
            async with AIOKafkaProducer(**settings.kafka_options()) as producer:
                await producer.send_and_wait(changelog, b"x", key=b"t", partition=PARTITION)
            stretch = Stretch(CHALLENGE_LOGS, [None], 0, 0)
            context.outstanding.add(Chunk(PARTITION, [stretch], context.outstanding.epoch, 0))
            before = context.outstanding.sign
            await take_back(context, PARTITION, lambda: True)
            assert context.store[PARTITION].load([b"t"]) == [b"x"]
            assert before is not None
            assert context.outstanding.sign != before

    asyncio.run(run())

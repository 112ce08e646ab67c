"""A partition that was fenced though nobody else has it is taken back, and nothing is doubled."""

import asyncio
from contextlib import AsyncExitStack

from processor.definitions import DefinitionsReader
from processor.folding import Folding
from processor.gathering import Chunk, Stretch
from processor.offsets import EndOffsets
from processor.recovery import take_back, take_over
from processor.shell import Shell
from processor.store import StateStore
from processor.ticker import Ticker
from processor.transactions import PartitionProducer, Producers
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.integration.processor.driving import History, definitions, drain, produce

PARTITION = 1


async def opened(settings: Settings, stack: AsyncExitStack) -> Shell:
    """A worker with one partition, without Faust."""
    ends = await stack.enter_async_context(EndOffsets(settings))
    log_ends = await stack.enter_async_context(EndOffsets(settings, "read_uncommitted"))
    producers = Producers(settings)
    stack.push_async_callback(producers.close)
    store = StateStore(settings.data_dir / "state")
    stack.callback(store.close_all_but, ())
    shell = Shell(
        settings=settings,
        store=store,
        producers=producers,
        ends=ends,
        log_ends=log_ends,
        ticker=Ticker(settings, log_ends, lambda: producers.partitions, lambda *_: False),
        definitions=await stack.enter_async_context(DefinitionsReader(settings)),
        reply_partitions={},
        cluster_id="test",
    )
    await take_over(shell, {PARTITION})
    return shell


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
            shell = await opened(settings, stack)
            folding = Folding(shell, take_back, is_member)
            half = len(records) // 2
            for some in (records[:half], records[half:]):
                await fence_as_the_broker_does(settings)
                stretch = Stretch(CHALLENGE_LOGS, some, some[0].offset, 0)
                assert await folding.fold(Chunk(PARTITION, [stretch], 1, 0), lambda: True)
            position = shell.store[PARTITION].position()
            assert position.offsets[CHALLENGE_LOGS] == records[-1].offset + 1
            assert position.sequence == len(records)

    asyncio.run(run())
    seen = {(r.offset, r.value) for r in records}
    assert len(seen) == len(records)
    identifiers = {r.value.split(b'"uniqueIdentifier":"')[1].split(b'"')[0] for r in records}
    events = drain(settings, "progress-events")
    recorded = [e for e in events if b"challenge_log.recorded" in e.value]
    assert len(recorded) == len(identifiers)

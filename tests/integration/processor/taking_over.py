"""A worker's partition taken over by the real parts, without Faust."""

from contextlib import AsyncExitStack

from processor.context import WorkerContext
from processor.definitions import DefinitionsReader
from processor.recovery import take_over
from processor.store import StateStore
from processor.ticker import Ticker
from processor.transactions import Producers
from schemas.kafka.descriptions import Describer
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.member_keys import MemberKeysReader
from schemas.settings import Settings

PARTITION = 1


async def recovered(
    settings: Settings, stack: AsyncExitStack, *, binding: bool = True
) -> WorkerContext:
    """Take the partition over, as a worker with this data dir does when it starts; ``binding`` is
    false for a version that knew no ids of topics."""
    ends = await stack.enter_async_context(EndOffsets(settings))
    log_ends = await stack.enter_async_context(EndOffsets(settings, "read_uncommitted"))
    producers = Producers(settings)
    stack.push_async_callback(producers.close)
    store = StateStore(settings.data_dir / "state")
    stack.callback(store.close_all_but, ())
    context = WorkerContext(
        settings=settings,
        store=store,
        producers=producers,
        ends=ends,
        log_ends=log_ends,
        ticker=Ticker(settings, log_ends, lambda: producers.partitions, lambda *_: False),
        definitions=await stack.enter_async_context(DefinitionsReader(settings)),
        member_keys=await stack.enter_async_context(MemberKeysReader(settings)),
        reply_partitions={},
        cluster_id="test",
        describer=await stack.enter_async_context(Describer(settings)) if binding else None,
    )
    await take_over(context, {PARTITION})
    return context

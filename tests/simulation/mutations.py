"""Faults that the production code had, or must never have: each as a patch of it.

A mutation is entered around a run of the simulation, which must then find it. A simulation that
finds none of them would prove nothing by finding nothing.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

from processor import recovery
from processor.agent import ChunkAgent
from processor.chunk_transport import ChunkConsumer, ChunkConsumerThread
from processor.chunking import ChunkAssembler
from processor.context import Outstanding
from processor.fetching import Fetch
from processor.transactions import PartitionProducer, Producers
from schemas.kafka.end_offsets import EndOffsets
from tests.simulation import strategies
from tests.simulation.wire import WIRE


@contextlib.contextmanager
def without_the_second_line() -> Iterator[None]:
    """The agent folds a chunk whatever is missing before it."""
    with mock.patch("processor.agent.check_nothing_left_out"):
        yield


@contextlib.contextmanager
def delivered_anew() -> Iterator[None]:
    """Fault 1.1: the agent asks how often all was given up only after it awaited the definitions;
    what was delivered before a revocation and waited there counts as delivered after it."""
    run = ChunkAgent.run

    async def late(agent: ChunkAgent, stream: Any) -> None:
        context = agent._context

        async def events() -> AsyncIterator[Any]:
            async for event in stream.noack().events():
                while context.definitions.definitions.next_offset < event.value.definitions:
                    await context.definitions.follow()
                if event.value.epoch != context.outstanding.epoch:
                    event.value.epoch = context.outstanding.epoch
                    context.outstanding._on_the_way += event.value.size  # as if delivered now
                yield event

        await run(agent, SimpleNamespace(noack=lambda: SimpleNamespace(events=events)))

    with mock.patch.object(ChunkAgent, "run", late):
        yield


@contextlib.contextmanager
def thrown_away() -> Iterator[None]:
    """Fault 1.2: what was fetched is thrown away whenever the generation moved, and a seek is
    trusted to come that may be over."""
    wait = ChunkConsumer._wait_next_records

    async def discarding(consumer: ChunkConsumer, seconds: float) -> Any:
        generation = consumer.app.consumer_generation_id
        fetch, active = await wait(consumer, seconds)
        if not consumer.flow_active or generation != consumer.app.consumer_generation_id:
            return Fetch(), active
        return fetch, active

    with mock.patch.object(ChunkConsumer, "_wait_next_records", discarding):
        yield


@contextlib.contextmanager
def leaking() -> Iterator[None]:
    """A chunk that Faust dropped is never taken off what is outstanding."""

    def clear(outstanding: Outstanding) -> int:
        outstanding.epoch += 1
        return 0

    with mock.patch.object(Outstanding, "clear", clear):
        yield


@contextlib.contextmanager
def stable_ends() -> Iterator[None]:
    """Fault 1.13: "commands first" asks for the last stable offset."""

    def ends(settings: Any, *_: str) -> EndOffsets:
        return EndOffsets(settings)

    with mock.patch("tests.simulation.process.EndOffsets", ends):
        yield


@contextlib.contextmanager
def definitions_whenever() -> Iterator[None]:
    """A chunk is folded under whatever definitions are known."""

    async def known(*_: Any) -> bool:
        return True

    with mock.patch.object(ChunkAgent, "_know_definitions", known):
        yield


@contextlib.contextmanager
def ticks_at_once() -> Iterator[None]:
    """A tick waits for nothing."""
    with mock.patch.object(ChunkAssembler, "_beside_ticks", return_value=set()):
        yield


@contextlib.contextmanager
def stored_first() -> Iterator[None]:
    """The store is written before the transaction has committed."""
    write = PartitionProducer.write

    async def early(producer: PartitionProducer, effects: Any, *rest: Any) -> int:
        process = WIRE.get().process
        changelog = process.changelog(producer.partition)
        store = process.context.store[producer.partition]
        store.apply(effects.writes, changelog.end + len(effects.writes))
        return await write(producer, effects, *rest)

    with mock.patch.object(PartitionProducer, "write", early):
        yield


@contextlib.contextmanager
def fenced_last() -> Iterator[None]:
    """The earlier owner is fenced only after the changelog's end was read, and restored up to."""
    fence, check = Producers.fence, recovery._check_inputs
    later: dict[int, Any] = {}

    async def remember(producers: Producers, partitions: Any, *_: Any) -> None:
        later[id(producers)] = set(partitions)

    async def check_and_fence(context: Any, *rest: Any) -> None:
        await check(context, *rest)
        await fence(context.producers, later[id(context.producers)])

    with (
        mock.patch.object(Producers, "fence", remember),
        mock.patch("processor.recovery._check_inputs", check_and_fence),
    ):
        yield


@contextlib.contextmanager
def sought_too_far() -> Iterator[None]:
    """The inputs are read on after one record more than the store has."""

    async def too_far(thread: ChunkConsumerThread) -> Any:
        consumer: Any = thread.consumer
        targets = {tp: n + (n > 0) for tp, n in consumer.context.input_positions().items()}
        return await thread.call_thread(thread._seek_inputs, targets, consumer.begin_epoch())

    with mock.patch.object(ChunkConsumerThread, "seek_to_committed", too_far):
        yield


@contextlib.contextmanager
def _both(*entered: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for enter in entered:
            stack.enter_context(enter())
        yield


@dataclass(frozen=True)
class Mutation:
    """A fault, the schedules that are searched for it, and what the simulation says then."""

    name: str
    enter: Callable[[], AbstractContextManager[None]]
    items: tuple[Any, ...]
    partitions: int
    found: str
    """A regular expression for the violation."""


LOST = "were never folded"
STOPPED = "stopped itself"

MUTATIONS = (
    Mutation("1.1", delivered_anew, strategies.DELIVERY, 1, f"{STOPPED}.*GapError"),
    Mutation(
        "1.1 without the second line",
        lambda: _both(delivered_anew, without_the_second_line),
        strategies.DELIVERY,
        1,
        LOST,
    ),
    Mutation("1.2", thrown_away, strategies.RETURNS, 1, f"{STOPPED}.*GapError|{LOST}|stands still"),
    Mutation(
        "1.2 without the second line",
        lambda: _both(thrown_away, without_the_second_line),
        strategies.RETURNS,
        1,
        f"{LOST}|stands still",
    ),
    Mutation("leaking", leaking, strategies.NARROW, 1, "outstanding for ever"),
    Mutation("1.13", stable_ends, strategies.COMMANDS, 1, "came before its command"),
    Mutation("definitions whenever", definitions_whenever, strategies.ORDERED, 1, "a dead letter"),
    Mutation("ticks at once", ticks_at_once, strategies.ORDERED, 1, "came too early"),
    Mutation("stored first", stored_first, strategies.RESTARTS, 1, "missing|prefix|ahead"),
    Mutation("fenced last", fenced_last, strategies.HANDED_OVER, 2, "missing|ahead"),
    Mutation("sought too far", sought_too_far, strategies.NARROW, 1, "stands still|GapError"),
)

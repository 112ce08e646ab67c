"""The worker's place in its consumer group, watched: no worker lives on without working.

aiokafka keeps the membership in tasks of its own, on the thread of Faust's consumer. An error there
that it did not expect parks it for ever: alive, without a heartbeat, without partitions. Faust's
services may end as silently. So the worker looks at all of them every second and stops where one
has ended, or where a sign of life stands still for long.

It also tells aiokafka that the worker lives. aiokafka takes a member that fetches nothing for a
while for one that hangs, and lets its membership go; but a worker without partitions has nothing to
fetch, nor has one whose state is restored for hours. A worker whose event loop hangs tells nothing,
and so still leaves.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mode import Service

from processor.chunk_transport import ChunkConsumer
from processor.context import WorkerContext
from processor.definitions import DefinitionsReader
from processor.ticker import Ticker
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.health import consumer_fault

LOOK_SECONDS = 1.0
STILL_LOOKS = 120
"""Looks at which a sign of life may stand still. Looks are counted and not seconds: a worker that
was frozen has not looked, and gets the time to come back."""


class NotWorking(Exception):
    """A part of the worker has ended or stands still; the message says which."""


@dataclass(frozen=True)
class Signs:
    """What was seen at one look."""

    fault: str | None = None
    """What has ended and should not have."""
    life: Mapping[str, object] | None = None
    """By what it is called, what changes while it lives; without what need not live now."""


class Watch:
    """Judges what is seen, look after look."""

    def __init__(self, still_looks: int | None = None) -> None:
        self._limit = STILL_LOOKS if still_looks is None else still_looks
        self._before: Mapping[str, object] = {}
        self._still: dict[str, int] = {}

    def judge(self, signs: Signs) -> None:
        """Take one look into account.

        Raises:
            NotWorking: something has ended, or has stood still for too many looks.
        """
        if signs.fault is not None:
            raise NotWorking(signs.fault)
        life = signs.life or {}
        self._still = {
            name: self._still.get(name, 0) + 1
            for name, value in life.items()
            if name in self._before and self._before[name] == value
        }
        self._before = life
        for name, looks in self._still.items():
            if looks >= self._limit:
                raise NotWorking(f"{name} stood still for {looks * LOOK_SECONDS:.0f} s")


async def watch(app: Any) -> None:
    """Look at a Faust application every second, for as long as it works.

    Raises:
        NotWorking: it does not any more.
    """
    judging = Watch()
    while True:
        judging.judge(look(app))
        await asyncio.sleep(LOOK_SECONDS)


def look(app: Any) -> Signs:
    """Look once, and tell aiokafka that the worker lives. May be called before it has started."""
    crashed = next(_crashed(app), None)
    if crashed is not None:
        return Signs(f"{crashed.label} crashed: {crashed.crash_reason!r}")
    consumer: ChunkConsumer | None = app._consumer
    thread = None if consumer is None else consumer._thread
    kafka = None if thread is None else thread._consumer
    if consumer is None or thread is None or kafka is None or kafka._coordinator is None:
        return Signs(life={"the start of the worker": None})
    if thread._thread is not None and not thread._thread.is_alive():
        return Signs("the thread of the consumer has ended")
    thread.thread_loop.call_soon_threadsafe(thread.tell_alive)
    life: dict[str, object] = {
        "the thread of the consumer": thread.turns,
        "the membership in the group": (thread.heartbeats, kafka._coordinator.generation),
    }
    if consumer.flow_active:
        life["the reading of records"] = consumer.polls
        if app.context.outstanding.sign is not None:
            life["the folding of what was read"] = app.context.outstanding.sign
    elif not app.in_recovery:
        life["the wait for an assignment"] = app.consumer_generation_id
    return Signs(consumer_fault(kafka) or _fault(app.context), life)


def _fault(context: WorkerContext) -> str | None:
    """Return what works no more beside the group's consumer."""
    parts: Mapping[str, EndOffsets | DefinitionsReader | Ticker] = {
        "the reader of ends": context.ends,
        "the reader of the logs' ends": context.log_ends,
        "the reader of definitions": context.definitions,
        "the ticker": context.ticker,
    }
    faults = ((name, part.fault()) for name, part in parts.items())
    return next((f"{name}: {fault}" for name, fault in faults if fault is not None), None)


def _crashed(service: Service) -> Iterator[Service]:
    """Yield the services that crashed, of one and all that belong to it."""
    if service._crashed.is_set():
        yield service
    for child in service._children:
        if isinstance(child, Service):
            yield from _crashed(child)

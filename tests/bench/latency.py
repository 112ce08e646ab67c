"""How soon an event's points reach who listens, and the database, at 1,000 events a second.

One worker, one projector. Events leave at even distances, whatever becomes of them, and each time
runs from the moment that was planned for its event.

- Event to subscriber: until a read_committed consumer of `points-events` has the points that the
  event gave. What else the event led to, rewards too, is of the same transaction.
- Event to row: until the database says that the row with these points is there. The projector's
  checkpoint is of the transaction that writes the rows; it is asked for every few milliseconds,
  which the time has in it.
"""

import asyncio
import os
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.clients import partitions_of_topic
from deploy.importing.transfer import Import, Watcher, run_import
from deploy.topics_create import create_topics
from projections.migrate import migrate
from schemas import ids
from schemas.event_types import POINTS_GRANTED
from schemas.kafka import consumers
from schemas.settings import Settings
from schemas.topics import EVENTS, MEMBER_COMMANDS, POINTS_EVENTS, partition_for
from tests.bench.events import EVENT, LIMIT, publish_event_definitions, write_members
from tests.bench.findings import Finding
from tests.bench.measure import PeerFailed
from tests.bench.processes import process
from tests.bench.workload import PROJECT, Workload, first_moment
from tests.stack import FreshSettings

SUBSCRIBER_MS, ROW_MS = 150.0, 300.0
"""How soon all but one in a hundred are to be there."""
_ASK_SECONDS = 0.005
_PATIENCE_SECONDS = 120
_CHECKPOINTS = """
SELECT partition, next_offset FROM milestream.projection_checkpoints
WHERE projection = 'points_ledger' AND topic = %s
"""
_SOURCES = "SELECT source_id FROM milestream.points_ledger WHERE action_id = %s"

Say = Callable[[str], None]
Database = psycopg.AsyncConnection[tuple[Any, ...]]


class _Points(msgspec.Struct, rename="camel"):
    source_id: str


class _Output(msgspec.Struct):
    type: str
    data: _Points


@dataclass
class Times:
    """When what happened to each event, by the event's id; moments of one clock.

    Attributes:
        planned: when it was to be sent.
        heard: when the subscriber had its points.
        places: partition and offset of these.
        stored: when their row was there.
    """

    planned: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)

    def milliseconds(self, reached: Mapping[str, float], events: Sequence[str]) -> list[float]:
        """Return how long each of these events took, in the order that they were planned in."""
        return [(reached[event] - self.planned[event]) * 1000 for event in events]


def measure(fresh: FreshSettings, directory: Path, say: Say) -> Sequence[Finding]:
    """Send events for a while to warm up and then for the time that counts."""
    rate = float(os.environ.get("MILESTREAM_BENCH_LATENCY_RATE", "1000"))
    seconds = float(os.environ.get("MILESTREAM_BENCH_LATENCY_SECONDS", "60"))
    warm_up = float(os.environ.get("MILESTREAM_BENCH_LATENCY_WARM_UP", "20"))
    members = int(os.environ.get("MILESTREAM_BENCH_LATENCY_MEMBERS", "20000"))
    assert rate * (warm_up + seconds) < LIMIT * members, "more than give points"
    settings = fresh()
    create_topics(settings)
    migrate(settings.database_url)
    asyncio.run(_prepare(settings, Workload(members=members), directory))
    with ExitStack() as stack:
        for command in ("worker", "projector"):
            stack.enter_context(process(settings, command, directory))
        times = asyncio.run(_run(settings, members, rate, warm_up, seconds))
    load = f"{rate:g} events/s for {seconds:g} s"
    counted = list(times.planned)[-int(rate * seconds) :]
    return [
        _finding(what, times.milliseconds(reached, counted), wanted, load, say)
        for what, reached, wanted in (
            ("event to subscriber", times.heard, SUBSCRIBER_MS),
            ("event to row", times.stored, ROW_MS),
        )
    ]


async def _prepare(settings: Settings, workload: Workload, directory: Path) -> None:
    await publish_event_definitions(settings)
    members = directory / "members.ndjson"
    write_members(workload, members)
    await run_import(settings, Import(MEMBER_COMMANDS, str(members), "ndjson"), Watcher())


async def _run(
    settings: Settings, members: int, rate: float, warm_up: float, seconds: float
) -> Times:
    """Send, listen and ask until all that was sent has its points in a row."""
    times = Times()
    consumer = consumers.consumer(
        settings, group_id=None, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with (
        AIOKafkaProducer(**settings.kafka_options()) as producer,
        consumer,
        await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as database,
    ):
        places = await partitions_of_topic(settings, settings.topic(POINTS_EVENTS))
        consumer.assign(places)
        watching = [
            asyncio.create_task(_listen(consumer, times)),
            asyncio.create_task(_ask(database, times)),
        ]
        try:
            sender = _Sender(settings, producer, members, times)
            # One by itself, for the worker to be there, and then as many as are to come.
            await sender.send(1, rate)
            await _all_stored(times, watching)
            await sender.send(int(rate * warm_up) + int(rate * seconds), rate)
            await _all_stored(times, watching)
            await _check_rows(database, times)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    return times


class _Sender:
    """Sends events whose conditions are met, each of them another one."""

    def __init__(
        self, settings: Settings, producer: AIOKafkaProducer, members: int, times: Times
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._members = members
        self._times = times
        self._sent = 0

    async def send(self, count: int, rate: float) -> None:
        """Send so many, so many a second, whatever becomes of them."""
        begun = time.perf_counter()
        waiting = []
        for number in range(count):
            at = begun + number / rate
            if (early := at - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            waiting.append(await self._send_one(at))
        await asyncio.gather(*waiting)

    async def _send_one(self, at: float) -> asyncio.Future[object]:
        user, key = f"member-{self._sent % self._members:07d}", f"latency-{self._sent}"
        member = ids.member_id(PROJECT, user)
        self._times.planned[ids.event_log_id(PROJECT, member, key)] = at
        self._sent += 1
        value = {
            "eventId": EVENT, "userId": user, "idempotencyKey": key,
            "occurredAt": f"{first_moment():%Y-%m-%dT%H:%M:%SZ}",
            "metadata": {"amount": 10 + self._sent % 80, "currency": "EUR"},
        }  # fmt: skip
        sent: asyncio.Future[object] = await self._producer.send(
            self._settings.topic(EVENTS),
            msgspec.json.encode(value),
            member.encode(),
            partition=partition_for(member, self._settings.partitions),
        )
        return sent


async def _listen(consumer: AIOKafkaConsumer, times: Times) -> None:
    decode = msgspec.json.Decoder(_Output).decode
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for place, records in fetched.items():
            for record in records:
                output = decode(record.value)
                event = output.data.source_id
                # Points on completion have another source.
                if output.type == POINTS_GRANTED.name and event in times.planned:
                    assert event not in times.heard, f"points given twice for {event}"
                    times.heard[event] = now
                    times.places[event] = (place.partition, record.offset)


async def _ask(database: Database, times: Times) -> None:
    """Ask for the checkpoints over and over, and note whose rows are there.

    Rows may be there before the subscriber has their points. They are noted when both are known,
    with the moment of the first checkpoint that had them.
    """
    passed: defaultdict[int, _Passed] = defaultdict(_Passed)
    waiting: dict[str, None] = {}
    known = 0
    while True:
        cursor = await database.execute(_CHECKPOINTS, (POINTS_EVENTS,))
        now = time.perf_counter()
        for partition, offset in await cursor.fetchall():
            passed[partition].add(offset, now)
        heard = list(islice(times.places, known, None))
        known += len(heard)
        waiting |= dict.fromkeys(heard)
        for event in list(waiting):
            partition, offset = times.places[event]
            moment = passed[partition].first_after(offset)
            if moment is not None:
                times.stored[event] = moment
                del waiting[event]
        await asyncio.sleep(_ASK_SECONDS)


class _Passed:
    """The checkpoints of a partition that were seen, with the moments of that."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._moments: list[float] = []

    def add(self, end: int, moment: float) -> None:
        """Note a checkpoint, unless it is the last one still."""
        if not self._ends or self._ends[-1] < end:
            self._ends.append(end)
            self._moments.append(moment)

    def first_after(self, offset: int) -> float | None:
        """Return when a checkpoint beyond an offset was first seen; None where none was."""
        place = bisect_right(self._ends, offset)
        return self._moments[place] if place < len(self._ends) else None


async def _all_stored(times: Times, watching: Sequence["asyncio.Task[None]"]) -> None:
    """Wait until the points of every event that was sent are in a row.

    Raises:
        PeerFailed: they are not for a long time.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(times.stored) < len(times.planned):
        for task in watching:
            if task.done():
                task.result()
        if time.monotonic() > deadline:
            raise PeerFailed(
                f"of {len(times.planned):,} events, the points of {len(times.heard):,} were heard "
                f"and of {len(times.stored):,} stored"
            )
        await asyncio.sleep(0.05)


async def _check_rows(database: Database, times: Times) -> None:
    cursor = await database.execute(_SOURCES, (EVENT,))
    rows = [source for (source,) in await cursor.fetchall()]
    assert sorted(rows) == sorted(times.planned), "rows and events are not the same"


def _finding(what: str, took: Sequence[float], wanted: float, load: str, say: Say) -> Finding:
    percentiles = quantiles(took, n=100, method="inclusive")
    p50, p99 = percentiles[49], percentiles[98]
    say(f"  {what}: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    return Finding(
        f"{what}, {load}",
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms",
        f"p99 {wanted:g} ms",
        wanted / p99,
        1,
        {"p50_ms": p50, "p99_ms": p99, "slowest_ms": max(took), "events": len(took)},
        "the load and the listener run on the same cores; read from the moment planned",
    )

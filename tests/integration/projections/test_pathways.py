"""Pathways: random histories, folded for real, against a plain recomputation; counted once."""

import asyncio
import os
import random
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from projections.batch import TableChanges
from projections.database import TableWriter, connect
from projections.metrics import Metrics
from projections.read_models.pathway_standings import PATHWAY_STANDINGS
from projections.rebuild import rebuild
from projections.runner import Runner
from schemas import ids, outputs
from schemas.settings import Settings
from schemas.topics import (
    ACTIVITY_LOGS,
    DEFINITIONS,
    MEMBER_EVENTS,
    PATHWAY_EVENTS,
    partition_for,
)
from tests import forking
from tests.forking import Forked
from tests.integration.projections.driving import caught_up, projecting, query
from tests.spec import NOW, PROJECT, Defined, Partition, Sent, command, upsert

WAYS = ("P", "Q")
MEMBERS = [f"user-{number}" for number in range(40)]
START = datetime(2026, 1, 1, tzinfo=UTC)
ARRIVED = datetime.fromisoformat(NOW)
ACTIVITIES: dict[str, dict[str, Any]] = {
    "view": {"type": "video", "fulfilmentType": "view"},
    "story": {"type": "story", "fulfilmentType": "complete", "passScore": 50, "required": False},
    "data": {
        "type": "data",
        "fulfilmentType": "tracking",
        "level": 2,
        "data": {"category": "Sales", "formula": "sum", "target": 100},
    },
    "upload": {"type": "confirmation", "fulfilmentType": "upload & review"},
}


class Done(NamedTuple):
    """One log of a member, or an approval (``value`` None), in the order they were processed."""

    at: datetime
    value: int | None


class Written(NamedTuple):
    """A record for a topic."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


@dataclass
class Ways:
    """Random things that members do in two pathways, and what must come of them."""

    seed: int = 0
    partitions: int = 4
    done: int = 0
    partition: Partition = field(default_factory=Partition)
    enrolled: set[tuple[str, str]] = field(default_factory=set)
    ever_enrolled: set[tuple[str, str]] = field(default_factory=set)
    worked: dict[tuple[str, str, str], list[Done]] = field(default_factory=dict)
    defined: dict[str, list[str]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin the same way for a seed."""
        self._random = random.Random(self.seed)

    def begin(self) -> list[Written]:
        """Define the pathways and make the members."""
        written = [self.define(way, list(ACTIVITIES)) for way in WAYS]
        return written + self._fold([upsert(user, firstName=user) for user in MEMBERS])

    def define(self, way: str, activities: list[str]) -> Written:
        """Put a pathway in force with these activities."""
        fields = [{"id": id_, "name": id_.title(), **ACTIVITIES[id_]} for id_ in activities]
        defined = Defined("pathway", way, {"id": way, "name": f"Way {way}", "activities": fields})
        self.partition.define(defined)
        self.defined[way] = activities
        return Written(DEFINITIONS, 0, defined.key, defined.value)

    def next(self, count: int) -> list[Written]:
        """Go some steps on, as one chunk; return what it writes."""
        written = []
        if self._random.random() < 0.1:
            kept = [id_ for id_ in ACTIVITIES if self._random.random() < 0.8]
            self._random.shuffle(kept)
            written.append(self.define(self._random.choice(WAYS), kept))
        steps = [self._step(number) for number in range(self.done, self.done + count)]
        self.done += count
        return written + self._fold([step for step in steps if step is not None])

    def _step(self, number: int) -> Sent | None:
        way, user = self._random.choice(WAYS), self._random.choice(MEMBERS)
        chance = self._random.random()
        if chance < 0.2:
            enrols = self._random.random() < 0.6
            (self.enrolled.add if enrols else self.enrolled.discard)((way, user))
            if enrols:
                self.ever_enrolled.add((way, user))
            return command("enrol" if enrols else "unenrol", pathwayId=way, userId=user)
        if chance < 0.3 and self.sent:
            return self._random.choice(self.sent)  # a repetition: it changes nothing
        if not self.defined[way]:
            return None
        activity = self._random.choice(self.defined[way])
        worked = self.worked.setdefault((way, activity, user), [])
        if activity == "upload" and worked and chance < 0.5:
            worked.append(Done(ARRIVED, None))
            fields = {"pathwayId": way, "activityId": "upload", "userId": user}
            return command("review-activity", **fields, approved=True)
        done = Done(
            START + timedelta(minutes=self._random.randrange(10_000)), self._random.randrange(60)
        )
        worked.append(done)
        return self._log(way, activity, user, number, done)

    def _log(self, way: str, activity: str, user: str, number: int, done: Done) -> Sent:
        fulfilment = {
            "view": {},
            "story": {"score": done.value, "progress": done.value},
            "data": {"value": done.value},
            "upload": {"upload": {"url": f"https://example.com/{number}"}},
        }
        log = {
            "pathwayId": way,
            "activityId": activity,
            "userId": user,
            "occurredAt": done.at,
            "uniqueIdentifier": f"log-{number}",
            "fulfilment": fulfilment[activity],
        }
        self.sent.append(Sent(ACTIVITY_LOGS, msgspec.json.encode(log)))
        return self.sent[-1]

    def _fold(self, records: list[Sent]) -> list[Written]:
        happened = self.partition.fold(*records)
        refused = {fact["reason"] for fact in happened.of("refused")}
        assert refused <= {"unknown_activity"}, refused  # repetitions, once it is gone
        written = []
        for topic in (MEMBER_EVENTS, PATHWAY_EVENTS):
            for output in happened.outputs(topic):
                assert output.key is not None
                number = partition_for(output.key.decode(), self.partitions)
                written.append(Written(topic, number, output.key, output.value))
        return written

    def shown(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Return what was done by (pathway, activity, user)."""
        worked = self.worked.items()
        return {place: _recomputed(place[1], done) for place, done in worked if done}

    def check_counts(self, settings: Settings) -> None:
        """Compare what was counted with who is enrolled and who completed what."""
        shown = self.shown()
        counts: dict[tuple[str, str], int] = {}
        for way, _ in self.enrolled:
            counts[way, ""] = counts.get((way, ""), 0) + 1
        for (way, activity, user), log in shown.items():
            if log["complete"] and (way, user) in self.enrolled:
                counts[way, activity] = counts.get((way, activity), 0) + 1
        select = "SELECT pathway_id, activity_id, members FROM milestream.pathway_stats"
        rows = query(settings, f"{select} WHERE members <> 0")
        assert {(way, activity): members for way, activity, members in rows} == counts
        assert len(counts) > 4 or self.done < 500, "little was counted"

    def check(self, settings: Settings) -> None:
        """Compare the tables with what happened so far."""
        self.check_counts(settings)
        shown = self.shown()
        members = {ids.member_id(PROJECT, user): user for user in MEMBERS}
        assert {
            (way, activity, members[str(member)]): dict(log, progress=int(log["progress"]))
            for way, activity, member, log in query(settings, LOGS)
        } == shown
        select = "SELECT pathway_id, user_id, enrolled FROM milestream.pathway_enrolments"
        rows = query(settings, select)
        assert {(way, user) for way, user, enrolled in rows if enrolled} == self.enrolled
        assert {(way, user) for way, user, _ in rows} == self.ever_enrolled
        assert len(rows) == len(self.ever_enrolled)
        select = "SELECT pathway_id, activity_id, place, level FROM milestream.pathway_activities"
        assert query(settings, f"{select} ORDER BY pathway_id, place") == [
            (way, id_, place, ACTIVITIES[id_].get("level", 1))
            for way in WAYS
            for place, id_ in enumerate(self.defined[way], 1)
        ]


LOGS = """
    SELECT pathway_id, activity_id, member_id, json_build_object(
        'state', state, 'complete', complete, 'progress', progress,
        'timestamp', extract(epoch FROM timestamp)::bigint,
        'shown', fulfilment -> 'state', 'current', fulfilment -> 'data' -> 'current',
        'score', fulfilment -> 'story' -> 'score')
    FROM milestream.pathway_logs
"""


def _recomputed(activity: str, worked: list[Done]) -> dict[str, Any]:
    """Return what a row of ``pathway_logs`` must be, from all that was done, in plain Python."""
    completed: datetime | None = None
    values: list[int] = []
    for at, value in worked:
        values.append(value or 0)
        enough = {
            "view": True,
            "story": max(values) >= 50,
            "data": sum(values) >= 100,
            "upload": value is None,
        }
        if completed is None and enough[activity]:
            completed = at
    progress = {"view": 100, "story": max(values), "data": min(sum(values), 99), "upload": 0}
    moment = completed or max(at for at, _ in worked)
    return {
        "state": "completed" if completed else "in progress",
        "complete": completed is not None,
        "progress": 100 if completed else progress[activity],
        "timestamp": int(moment.timestamp()),
        "shown": "completed" if completed else "in progress",
        "current": sum(values) if activity == "data" else None,
        "score": max(values) if activity == "story" else None,
    }


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator["Writer"]:
    """Open a writer with transactions, as the processor has them."""
    name = f"{settings.application_id}-{os.urandom(4).hex()}"
    producer = AIOKafkaProducer(
        **settings.kafka_options(), transactional_id=name, linger_ms=5, acks="all"
    )
    async with producer:
        yield Writer(settings, producer)


@dataclass
class Writer:
    """Writes the records of a chunk in one transaction."""

    settings: Settings
    producer: AIOKafkaProducer

    async def commit(self, records: list[Written]) -> None:
        """Write the records."""
        async with self.producer.transaction():
            sent = [
                await self.producer.send(
                    self.settings.topic(topic), value, key, partition=partition
                )
                for topic, partition, key, value in records
            ]
            await asyncio.gather(*sent)


def _quiet(_done: int, _total: int) -> None:
    """Report to nobody."""


TABLES = (
    "pathways",
    "pathway_profiles",
    "pathway_enrolments",
    "pathway_logs",
    "pathway_standings",
)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_random_history_gives_what_a_recomputation_gives(
    settings: Settings, seed: int
) -> None:
    history = Ways(seed, settings.partitions)
    async with producing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(history.begin())
        for size in (1, 3, 10, 40, 100, 300) * 4:
            await writer.commit(history.next(size))
            if size in (40, 300):
                await caught_up(settings)  # so that it comes in many batches
                history.check(settings)


async def test_batches_that_come_again_change_no_count(settings: Settings) -> None:
    history = Ways(partitions=settings.partitions)
    history.begin()
    batches = [history.next(25) for _ in range(30)]
    connection = await connect(settings.database_url, "test")
    async with connection:
        writer = TableWriter(PATHWAY_STANDINGS)
        await writer.prepare(connection)
        for batch in (*batches, *batches[5:20], *batches[:10]):
            changes = TableChanges(PATHWAY_STANDINGS)
            for record in batch:
                if record.topic == PATHWAY_EVENTS and record.value is not None:
                    for row in PATHWAY_STANDINGS.rows(outputs.decode(record.value)):
                        changes.add(row)
            async with connection.transaction():
                await writer.write(connection, changes)
    history.check_counts(settings)


async def test_what_comes_again_counts_once_and_what_is_rebuilt_is_the_same(
    settings: Settings,
) -> None:
    history = Ways(partitions=settings.partitions)
    async with producing(settings) as writer:
        async with projecting(Runner(settings)):
            await writer.commit(history.begin())
            for _ in range(20):
                await writer.commit(history.next(60))
            await caught_up(settings)
        history.check(settings)
        with psycopg.connect(settings.database_url) as connection:
            connection.execute("UPDATE milestream.projection_checkpoints SET next_offset = 0")
        async with projecting(Runner(settings)):
            await caught_up(settings)
            history.check(settings)
            with psycopg.connect(settings.database_url) as connection:
                connection.execute("UPDATE milestream.pathway_stats SET members = members + 1")
                connection.execute("DELETE FROM milestream.pathway_logs WHERE complete")
            for table in TABLES:
                await rebuild(settings, table, _quiet)
            history.check(settings)
            for _ in range(5):
                await writer.commit(history.next(60))
            await caught_up(settings)
    history.check(settings)


async def test_projectors_that_fight_or_share_count_each_record_once(
    settings: Settings,
) -> None:
    history = Ways(partitions=settings.partitions)
    metrics = Metrics()

    def conflicts() -> float:
        name = "milestream_projector_checkpoint_conflicts_total"
        return metrics.registry.get_sample_value(name) or 0

    async with AsyncExitStack() as stack:
        writer = await stack.enter_async_context(producing(settings))
        await writer.commit(history.begin())
        held = [(PATHWAY_EVENTS, number) for number in range(settings.partitions)]
        for own in (held[:1], held[1:], held):
            runner = Runner(settings, partitions=own, metrics=metrics)
            await stack.enter_async_context(projecting(runner))
        rounds = 0
        while rounds < 40 or (conflicts() == 0 and rounds < 400):
            await writer.commit(history.next(50))
            rounds += 1
        await stack.enter_async_context(projecting(Runner(settings)))
        await caught_up(settings)
    history.check(settings)
    assert conflicts() > 0, "they never met: the test shows nothing"
    retries = "milestream_projector_retries_total"
    assert metrics.registry.get_sample_value(retries, {"cause": "PostgreSQL"}) is None


@contextmanager
def _process(settings: Settings) -> Iterator[Forked]:
    with tempfile.TemporaryFile() as log:
        child = forking.start(["projector"], os.environ | settings.to_env(), log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def test_a_projector_killed_again_and_again_loses_and_doubles_nothing(
    settings: Settings,
) -> None:
    history = Ways(partitions=settings.partitions)
    async with producing(settings) as writer:
        await writer.commit(history.begin())

        async def flow() -> None:
            while history.done < 12_000:
                await writer.commit(history.next(200))

        flowing = asyncio.create_task(flow())
        kills = 0
        while not flowing.done() or kills < 3:
            with _process(settings) as child:
                await _progress(settings)
                await asyncio.sleep(0.1 * (kills % 3))
                child.send_signal(signal.SIGKILL)
                kills += 1
            if kills == 3:
                await flowing
        await flowing
        async with projecting(Runner(settings)):
            await writer.commit(history.next(10))
            await caught_up(settings)
    history.check(settings)


async def _progress(settings: Settings) -> None:
    """Return when a projector has committed something, or has nothing to do for a while."""
    text = "SELECT coalesce(sum(next_offset), 0) FROM milestream.projection_checkpoints"
    before = await asyncio.to_thread(query, settings, text)
    for _ in range(150):
        if await asyncio.to_thread(query, settings, text) != before:
            return
        await asyncio.sleep(0.02)

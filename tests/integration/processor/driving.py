"""Driving real workers from tests: start, kill, freeze; produce, drain; recompute plainly."""

import asyncio
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas import ids
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, DEFINITIONS, TICKS, partition_for
from tests import forking
from tests.forking import Forked

CHALLENGE = "11111111-1111-4111-8111-111111111111"
MILESTONES = {
    "22222222-2222-4222-8222-222222222201": Decimal(100),
    "22222222-2222-4222-8222-222222222202": Decimal(250),
}
TARGET = Decimal(400)

DRAIN_SECONDS = 300
"""How long a transaction may stay open that stands in the way of a reader."""


def _in_a_lasting_month(hours: int = 2) -> str:
    """Return this moment, and one of the next month where this one ends within hours.

    What is logged in a month that ends under a test fails its challenges there, and what is logged
    later counts for another.
    """
    now = datetime.now(UTC)
    soon = now + timedelta(hours=hours)
    return f"{now if now.month == soon.month else soon:%Y-%m-%dT%H:%M:%SZ}"


NOW = _in_a_lasting_month()
"""When everything is logged that has no time of its own; at most 24 hours ahead are taken."""

Record = tuple[str, int | None, bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
"""Topic (without prefix), partition, key, value, headers."""


class Worker:
    """One worker process; killed at the latest when the block is left."""

    def __init__(self, settings: Settings, name: str | None, prepared: str = "") -> None:
        """Without a name, it runs with the settings as they are; ``prepared`` is Python that runs
        in its process before it starts."""
        self._prepared = prepared
        self.settings = settings
        if name is not None:
            self.settings = settings.model_copy(
                update={"worker_instance": name, "data_dir": settings.data_dir / name}
            )
        self.log = settings.data_dir / f"{name or 'unnamed'}.log"
        self._process: Forked | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def process(self) -> Forked:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            environment = os.environ | self.settings.to_env(without=("database_url",))
            self._process = forking.start(["worker"], environment, log, prepared=self._prepared)

    def ready(self, times: int = 1, seconds: float = 180) -> None:
        """Wait until it took partitions over so many times in its life."""
        wait_until(
            lambda: self.text().count("Worker ready") >= times,
            seconds,
            lambda: f"worker not ready:\n{self.text()[-3000:]}",
            watch=self.process,
        )

    def text(self) -> str:
        """What it logged so far, over all its starts."""
        return self.log.read_text("utf-8", "replace")

    def kill(self) -> None:
        """SIGKILL it, frozen or not."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Delete its state; it must be dead."""
        subprocess.run(["rm", "-rf", str(self.settings.data_dir)], check=True)


def wait_until(
    condition: Callable[[], bool],
    seconds: float,
    complain: Callable[[], str],
    watch: Forked | None = None,
) -> None:
    """Poll until ``condition`` holds; fail where it does not in time or ``watch`` ends.

    The pause is four times as long as a look, up to a second: one that reads a whole topic must not
    take the processors from those that it waits for.
    """
    deadline = time.monotonic() + seconds
    looked = time.monotonic()
    while not condition():
        ended = watch is not None and watch.poll() is not None
        if time.monotonic() > deadline or ended:
            raise AssertionError(complain())
        time.sleep(min(1.0, max(0.05, 4 * (time.monotonic() - looked))))
        looked = time.monotonic()


def produce(settings: Settings, records: Iterable[Record], **options: Any) -> None:
    """Write records and await every delivery."""

    async def run() -> None:
        producer = AIOKafkaProducer(**settings.kafka_options(), linger_ms=5, **options)
        await producer.start()
        try:
            futures = [
                await producer.send(
                    settings.topic(topic),
                    value,
                    key=key,
                    partition=partition,
                    headers=list(headers),
                )
                for topic, partition, key, value, headers in records
            ]
            await asyncio.gather(*futures)
        finally:
            await producer.stop()

    asyncio.run(run())


def drain(
    settings: Settings,
    *topics: str,
    isolation: str = "read_committed",
    settled: bool = True,
) -> list[Any]:
    """Return every committed record of ``topics``, in the order of topic, partition, offset.

    A commit shows in one partition before it shows in another: the coordinator writes its markers
    one by one. So ``settled`` reads to the end of the log, open transactions included, and waits
    for what became of them; without it, to the end of what is committed by now.
    """

    async def run() -> list[Any]:
        places = [
            TopicPartition(settings.topic(t), p)
            for t in topics
            for p in range(1 if t == DEFINITIONS else settings.partitions)
        ]
        async with AIOKafkaConsumer(
            **settings.kafka_options(), isolation_level=isolation, auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign(places)
            ends = await (log_ends(settings, places) if settled else consumer.end_offsets(places))
            await consumer.seek_to_beginning(*places)
            found: list[Any] = []
            async with asyncio.timeout(DRAIN_SECONDS):
                while any([await consumer.position(p) < ends[p] for p in places]):
                    for batch in (await consumer.getmany(timeout_ms=100)).values():
                        found.extend(batch)
            return sorted(found, key=lambda r: (r.topic, r.partition, r.offset))

    return asyncio.run(run())


async def log_ends(
    settings: Settings, places: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return where the logs end, open transactions included."""
    async with AIOKafkaConsumer(**settings.kafka_options()) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends


def values(settings: Settings, *topics: str) -> list[dict[str, Any]]:
    """Return the committed records' JSON, numbers exact."""
    return [json.loads(r.value, parse_float=Decimal) for r in drain(settings, *topics)]


def definition(kind: str, id_: str, project: str = "default", **fields: Any) -> Record:
    """Return the record of a definition."""
    value = json.dumps({"id": id_, **fields}, default=float).encode()
    return (DEFINITIONS, 0, f"{project}/{kind}/{id_}".encode(), value, ())


def definitions() -> list[Record]:
    """Return a monthly sum challenge with two milestones."""
    return [
        definition(
            "challenge",
            CHALLENGE,
            name="Spend",
            aggregationPeriod="monthly",
            completionTargetValue=TARGET,
        ),
        *(
            definition(
                "milestone",
                id_,
                name=f"Spend {target}",
                linkedSchemaRecordId=CHALLENGE,
                milestoneTargetValue=target,
            )
            for id_, target in MILESTONES.items()
        ),
    ]


def log(
    external_id: str,
    identifier: str,
    value: str,
    *,
    settings: Settings | None,
    at: str | None = None,
    headers: Sequence[tuple[str, bytes]] = (),
) -> Record:
    """Return a challenge log's record; without ``settings`` it has no key and no partition."""
    at = at or NOW
    text = (
        f'{{"challengeId":"{CHALLENGE}","ownedBy":{{"externalId":"{external_id}"}},'
        f'"activityAt":"{at}","activityId":"purchase","uniqueIdentifier":"{identifier}",'
        f'"activityValue":{value}}}'
    )
    member = ids.member_id("default", external_id)
    key = None if settings is None else member.encode()
    partition = None if settings is None else partition_for(member, settings.partitions)
    return (CHALLENGE_LOGS, partition, key, text.encode(), headers)


@dataclass
class History:
    """Challenge logs with 2 % duplicates, and what they must lead to."""

    members: int
    seed: int
    sums: dict[str, Decimal] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    sent: int = 0

    def records(self, count: int, settings: Settings | None) -> list[Record]:
        """Make ``count`` more logs and take them into the expectation."""
        rng = random.Random(f"{self.seed}:{self.sent}")
        records = []
        last = ("user-0", "order-0", "1")
        for _ in range(count):
            if self.sent and rng.random() < 0.02:
                member, identifier, value = last
            else:
                member = f"user-{rng.randrange(self.members)}"
                identifier, value = f"order-{self.sent}", f"{rng.randrange(1, 3000) / 100:.2f}"
            last = (member, identifier, value)
            records.append(log(member, identifier, value, settings=settings))
            self.take(member, identifier, value)
            self.sent += 1
        return records

    def take(self, member: str, identifier: str, value: str) -> None:
        """Take a log into the expectation, once."""
        if (member, identifier) not in self.seen:
            self.seen.add((member, identifier))
            self.sums[member] = self.sums.get(member, Decimal(0)) + Decimal(value)

    def check(self, settings: Settings) -> None:
        """Compare every output with a recomputation: nothing lost, nothing twice, sums exact."""
        progress = values(settings, "progress-events")
        recorded = [e for e in progress if e["type"] == "milestream.challenge_log.recorded.v1"]
        completed = [e for e in progress if e["type"] == "milestream.challenge.completed.v1"]
        rewards = values(settings, "reward-events")
        reached = values(settings, "milestone-events")
        assert len(recorded) == len(self.seen), (len(recorded), len(self.seen))
        assert max(Counter(e["id"] for e in recorded).values()) == 1
        final: dict[str, Decimal] = {}
        for event in recorded:
            shown = Decimal(event["data"]["challengeProgress"]["currentProgressValue"])
            final[event["subject"]] = max(shown, final.get(event["subject"], Decimal(0)))
        members = {ids.member_id("default", name): total for name, total in self.sums.items()}
        assert final == members
        expected = Counter(
            {
                (member, milestone): 1
                for member, total in members.items()
                for milestone, target in MILESTONES.items()
                if total >= target
            }
        )
        assert Counter((e["subject"], e["data"]["milestoneId"]) for e in rewards) == expected
        assert Counter((e["subject"], e["data"]["milestoneId"]) for e in reached) == expected
        assert Counter(e["subject"] for e in completed) == Counter(
            {member: 1 for member, total in members.items() if total >= TARGET}
        )

    def folded(self, settings: Settings) -> bool:
        """Tell whether everything that was sent is in the outputs."""
        return recorded_count(settings) >= len(self.seen)


def recorded_count(settings: Settings) -> int:
    """Return how many inputs but ticks were folded, by the chunk log, which is short."""
    return sum(map(_inputs_of, drain(settings, CHUNK_LOG, settled=False)))


def _inputs_of(chunk: ConsumerRecord) -> int:
    """Return how many inputs but ticks a chunk has.

    Ticks have no gaps between their offsets, for no transaction writes them.
    """
    told: Any = json.loads(chunk.value)
    ticks: int = sum(
        span["last"] - span["first"] + 1 for span in told["inputs"] if span["topic"] == TICKS
    )
    count: int = told["count"] - ticks
    return count


def wait_folded(settings: Settings, inputs: int, seconds: float = 240, *workers: Worker) -> None:
    """Wait until the chunk log accounts for ``inputs`` input records, ticks apart."""
    found = asyncio.run(_read_chunk_log(settings, inputs, seconds))
    assert found >= inputs, f"{found} of {inputs} folded\n" + "\n".join(
        w.text()[-2000:] for w in workers
    )


async def _read_chunk_log(settings: Settings, wanted: int, seconds: float) -> int:
    """Read the chunk log as it grows, until so many inputs are in it or the time is over."""
    deadline, found = time.monotonic() + seconds, 0
    places = [
        TopicPartition(settings.topic(CHUNK_LOG), number) for number in range(settings.partitions)
    ]
    async with AIOKafkaConsumer(
        **settings.kafka_options(), isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        while found < wanted and time.monotonic() < deadline:
            for chunks in (await consumer.getmany(timeout_ms=1000)).values():
                found += sum(map(_inputs_of, chunks))
            await asyncio.sleep(0.1)  # several chunks at a look: workers need the processors
    return found


def fold_under_kills(
    worker: Worker,
    batches: Iterable[Iterable[Record]],
    inputs: int,
    *,
    rng: random.Random,
    lives: int,
    longest: float,
) -> None:
    """Produce batches while a worker is killed again and again; wait until all is folded.

    It lives for up to ``longest`` seconds; after every second life its store is lost as well.
    """
    settings = worker.settings

    def feed() -> None:
        for batch in batches:
            produce(settings, batch)

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        for life in range(lives):
            worker.start()
            worker.ready(times=life + 1)
            time.sleep(rng.uniform(0.1, longest))
            worker.kill()
            if life % 2:
                worker.wipe()
        worker.start()
        feeding.join()
        wait_folded(settings, inputs, 300, worker)
    finally:
        feeding.join()
        worker.kill()


def data_dir(tmp_path: Path, settings: Settings) -> Settings:
    """Return settings whose workers keep their state under ``tmp_path``."""
    return settings.model_copy(update={"data_dir": tmp_path / "data"})

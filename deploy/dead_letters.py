"""Dead letters: read from their topic, and sent back to where they came from, each once.

**What was redriven** is known by positions, one per filter and partition of `dead-letters`: all of
it, one reason, one project, or one reason of one project. A letter was redriven when it lies before
the position of any filter that it matches, and is not among those that could not be sent: each of
these has a record of its own, until a later run sends it. So `--reason unknown_challenge` leaves
the others where they are, and a later run without a filter sends those, and only those. All this is
committed in the transaction that sends the records: killed anywhere, or run twice, nothing is sent
twice and nothing is left out. An original that is refused again comes back as a new letter, with
`attempts` one higher, behind all positions; it can be redriven again.
"""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from deploy.batches import Batches
from deploy.clients import partitions_of_topic, reader, transactional_producer
from deploy.placement import PLACEABLE, Placement, Unplaceable
from deploy.positions import read_positions
from schemas.dead_letter import ATTEMPTS, DeadLetter
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, MIB, TOPICS, positions_topic

_LETTERS_PER_TRANSACTION = 1000
_BYTES_PER_TRANSACTION = 8 * MIB
_FETCH_SECONDS = 10
_OF_A_REQUEST = "kafka_"
"""What the names of the headers begin with that say where to a reply is to go, and to what."""
_LETTER = msgspec.json.Decoder(DeadLetter)


class CannotRedrive(Exception):
    """One letter's original cannot be sent back; the message says why."""


class Filter(NamedTuple):
    """Which letters are meant; None means any."""

    reason: str | None = None
    project: str | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is meant."""
        return self.reason in (None, letter.reason) and self.project in (None, letter.project)


class Found(NamedTuple):
    """A dead letter and where it lies on `dead-letters`; `timestamp` (ms) is when it was written.

    `letter` is None where the record there is no dead letter; `raw` is what it is.
    """

    partition: int
    offset: int
    timestamp: int
    raw: bytes
    letter: DeadLetter | None


class Redriven:
    """How far each filter's redrives have got: next offset by filter and partition; and which
    letters before it could not be sent."""

    def __init__(self, positions: Mapping[str, bytes]) -> None:
        self._next: dict[tuple[Filter, int], int] = {}
        self._failed: dict[int, set[int]] = defaultdict(set)
        for key, value in positions.items():
            kind, _, rest = key.partition("/")
            if kind == "redrive":
                reason, project, partition = msgspec.json.decode(
                    rest, type=tuple[str | None, str | None, int]
                )
                self._next[Filter(reason, project), partition] = int(value)
            elif kind == "redrive-failed":
                number, _, offset = rest.partition("/")
                self._failed[int(number)].add(int(offset))

    @staticmethod
    def key(wanted: Filter, partition: int) -> bytes:
        """Return the key that a position is kept under."""
        return b"redrive/" + msgspec.json.encode((wanted.reason, wanted.project, partition))

    @staticmethod
    def failed_key(partition: int, offset: int) -> bytes:
        """Return the key under which it is kept that a letter could not be sent."""
        return f"redrive-failed/{partition}/{offset}".encode()

    def failed(self, found: Found) -> bool:
        """Tell whether an earlier run could not send a letter."""
        return found.offset in self._failed.get(found.partition, ())

    def position(self, wanted: Filter, partition: int) -> int:
        """Return the offset that runs with this very filter have come to."""
        return self._next.get((wanted, partition), 0)

    def start(self, wanted: Filter, partition: int) -> int:
        """Return the first offset of a partition that may hold a letter not yet redriven."""
        return min({self._passed(wanted, partition)} | self._failed.get(partition, set()))

    def _passed(self, wanted: Filter, partition: int) -> int:
        wider = {
            Filter(reason, project)
            for reason in (None, wanted.reason)
            for project in (None, wanted.project)
        }
        return max(self.position(each, partition) for each in wider)

    def includes(self, found: Found) -> bool:
        """Tell whether a letter was redriven, by whatever filter."""
        letter = found.letter
        if letter is None or self.failed(found):
            return False
        return found.offset < self._passed(Filter(letter.reason, letter.project), found.partition)


async def read_letters(
    settings: Settings, starts: Callable[[int], int] = lambda _partition: 0
) -> AsyncIterator[Found]:
    """Yield what stands on `dead-letters`, partition by partition, up to its end as of now.

    Args:
        settings: where the topic is.
        starts: the first offset to read, by partition.
    """
    partitions = await partitions_of_topic(settings, settings.topic(DEAD_LETTERS))
    async with reader(settings, "read_committed") as consumer:
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            async for found in _read_partition(
                consumer, partition, starts(partition.partition), ends[partition]
            ):
                yield found


async def _read_partition(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
) -> AsyncIterator[Found]:
    if start >= end:
        return
    consumer.assign([partition])
    consumer.seek(partition, start)
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                raw = record.value or b""
                try:
                    letter = _LETTER.decode(raw)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    letter = None
                yield Found(record.partition, record.offset, record.timestamp, raw, letter)


@dataclass(frozen=True)
class Listing:
    """The newest letters, oldest first, of `total` that match; `redriven` says which went back."""

    letters: Sequence[Found]
    redriven: Redriven
    total: int


async def list_letters(settings: Settings, wanted: Filter, limit: int | None) -> Listing:
    """Return the newest letters that match, at most `limit`.

    Raises:
        CommandError: no broker answers, or the topics are not there.
    """
    redriven = Redriven(await read_positions(settings))
    newest: list[tuple[int, int, int, Found]] = []
    total = 0
    async for found in read_letters(settings):
        if found.letter is None or not wanted.matches(found.letter):
            continue
        total += 1
        heapq.heappush(newest, (found.timestamp, found.offset, found.partition, found))
        if limit is not None and len(newest) > limit:
            heapq.heappop(newest)
    return Listing([entry[3] for entry in sorted(newest)], redriven, total)


@dataclass
class RedriveOutcome:
    """What a redrive did: letters sent back by (topic, reason), and those it could not send."""

    sent: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    failed: list[tuple[Found, str]] = field(default_factory=list)

    def add(self, other: "RedriveOutcome") -> None:
        """Add what a further transaction did."""
        for what, count in other.sent.items():
            self.sent[what] += count
        self.failed.extend(other.failed)


async def redrive(settings: Settings, wanted: Filter, *, dry_run: bool = False) -> RedriveOutcome:
    """Send the originals of the letters that match back to their topics.

    A record goes back with its key, its value, its timestamp (it is what `createdAt` and the
    period of an event without a time of its own come from) and its headers, and with
    `milestream-attempts`; but without those that ask for a reply, for nobody waits for it any
    more. It goes to its member's partition; where no member can be read, to the one where it lay.
    Letters that could not be sent are tried again by the next run.

    Raises:
        CommandError: no broker answers, or another redrive took over.
    """
    if dry_run:
        redriven = Redriven(await read_positions(settings))
        outcome = RedriveOutcome()
        async for found in _to_redrive(settings, wanted, redriven):
            _count(outcome, found)
        return outcome
    async with transactional_producer(
        settings, "redrive", max_request_size=6 * MIB
    ) as producer:  # one name for all filters: two redrives at once would both send a letter
        redriven = Redriven(await read_positions(settings))
        run = _Redrive(settings, wanted, redriven, producer)
        async for found in _to_redrive(settings, wanted, redriven):
            await run.add(found)
        await run.flush()
        return run.outcome


async def _to_redrive(
    settings: Settings, wanted: Filter, redriven: Redriven
) -> AsyncIterator[Found]:
    async for found in read_letters(settings, lambda p: redriven.start(wanted, p)):
        letter = found.letter
        if letter is not None and wanted.matches(letter) and not redriven.includes(found):
            yield found


def _count(outcome: RedriveOutcome, found: Found) -> None:
    assert found.letter is not None
    outcome.sent[found.letter.topic, found.letter.reason] += 1


class _Redrive:
    """One redrive: letters gathered until they fill a transaction."""

    def __init__(
        self, settings: Settings, wanted: Filter, redriven: Redriven, producer: AIOKafkaProducer
    ) -> None:
        self.outcome = RedriveOutcome()
        self._settings = settings
        self._wanted = wanted
        self._redriven = redriven
        self._producer = producer
        self._gathered: list[Found] = []
        self._bytes = 0
        self._homes: dict[str, _Home] = {}

    async def add(self, found: Found) -> None:
        """Take a letter; send what was gathered when it is enough for a transaction."""
        self._gathered.append(found)
        self._bytes += len(found.raw)
        if len(self._gathered) >= _LETTERS_PER_TRANSACTION or self._bytes > _BYTES_PER_TRANSACTION:
            await self.flush()

    async def flush(self) -> None:
        """Send what was gathered, with the positions after it, in one transaction."""
        if not self._gathered:
            return
        outcome = RedriveOutcome()
        batches = Batches(self._producer)
        for found in self._gathered:
            try:
                await self._put(batches, found)
                _count(outcome, found)
            except CannotRedrive as error:
                outcome.failed.append((found, str(error)))
        self._keep_positions(batches, outcome)
        async with self._producer.transaction():
            await batches.send()
        self.outcome.add(outcome)
        self._gathered.clear()
        self._bytes = 0

    def _keep_positions(self, batches: Batches, outcome: RedriveOutcome) -> None:
        """Put how far this is, and which letters could not be sent, into the transaction."""
        topic = self._settings.topic(positions_topic(self._settings.application_id).name)
        failed = {(found.partition, found.offset) for found, _ in outcome.failed}
        reached: dict[int, int] = {}
        for found in self._gathered:
            reached[found.partition] = found.offset + 1
            place = found.partition, found.offset
            if self._redriven.failed(found) is not (place in failed):
                value = b"1" if place in failed else None
                batches.add(topic, 0, Redriven.failed_key(*place), value)
        for partition, offset in reached.items():
            # Letters that failed once lie before it.
            position = max(offset, self._redriven.position(self._wanted, partition))
            batches.add(topic, 0, Redriven.key(self._wanted, partition), str(position).encode())

    async def _put(self, batches: Batches, found: Found) -> None:
        letter = found.letter
        assert letter is not None
        home = self._homes.get(letter.topic)
        if home is None:
            home = self._homes[letter.topic] = await _home(self._settings, letter.topic)
        value = letter.original_value()
        if value is None:  # too large for a letter, or there was none
            value = await _original_value(self._settings, letter)
        headers = [
            (name, content)
            for name, content in letter.original_headers()
            if name != ATTEMPTS and not name.startswith(_OF_A_REQUEST)
        ]
        headers.append((ATTEMPTS, str(letter.attempts).encode()))
        batches.add(
            home.topic,
            home.partition_of(value, letter.partition),
            letter.original_key(),
            value,
            timestamp=int(letter.at.timestamp() * 1000 + 0.5),
            headers=headers,
        )


class _Home:
    """A topic that records go back to."""

    def __init__(self, topic: str, partitions: int, placement: Placement | None) -> None:
        self.topic = topic
        self._partitions = partitions
        self._placement = placement

    def partition_of(self, value: bytes | None, original: int) -> int:
        """Return the partition of the member that the value names, else the original one."""
        if self._placement is not None and value is not None:
            try:
                return self._placement.place(value).partition
            except Unplaceable:
                pass  # a malformed record goes back to where it lay
        return original % self._partitions


async def _home(settings: Settings, name: str) -> _Home:
    if name not in TOPICS:
        raise CannotRedrive(f"{name} is no topic of the catalogue")
    count = len(await partitions_of_topic(settings, settings.topic(name)))
    return _Home(settings.topic(name), count, Placement(name, count) if name in PLACEABLE else None)


async def _original_value(settings: Settings, letter: DeadLetter) -> bytes | None:
    """Fetch a value from where the record first lay.

    Raises:
        CannotRedrive: it lies there no more.
    """
    partition = TopicPartition(settings.topic(letter.topic), letter.partition)
    async with reader(settings, "read_committed") as consumer:
        consumer.assign([partition])
        consumer.seek(partition, letter.offset)
        try:
            record = await asyncio.wait_for(consumer.getone(partition), _FETCH_SECONDS)
        except (TimeoutError, KafkaError) as error:
            raise CannotRedrive(f"cannot be read at its offset any more: {error!r}") from error
    if record.offset != letter.offset:
        raise CannotRedrive("is not in its topic any more")
    value: bytes | None = record.value
    return value

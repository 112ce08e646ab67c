"""Sends dead letters back to the topics they came from: all that match, or some that are chosen."""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from api.dead_letters.reading import Progress, found_in, read_letters
from api.dead_letters.redriven import Filter, Found, Kind, Redriven
from api.kafka.record_reader import RecordReader, Removed
from schemas.dead_letter import ATTEMPTS, DeadLetter
from schemas.kafka.batches import Batches
from schemas.kafka.positions import read_positions
from schemas.kafka.single_use import partitions_of_topic, transactional_producer
from schemas.placement import PLACEABLE, Placement, Unplaceable
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, MIB, TOPICS, positions_topic

_LETTERS_PER_TRANSACTION = 1000
_BYTES_PER_TRANSACTION = 8 * MIB
_OF_A_REQUEST = "kafka_"
"""What the names of the headers begin with that say where to a reply is to go, and to what."""


def _nobody(_done: int, _total: int) -> None:
    """Tell nobody."""


class CannotRedrive(Exception):
    """One letter's original cannot be sent back; the message says why."""


class TooManyChosen(Exception):
    """A project may send no more letters one by one; see ``MOST_CHOSEN``."""


class Bounds(NamedTuple):
    """How much one call does: letters that it sends, bytes of letters that it looks at and of
    originals that it fetches, and seconds that it takes before it sends the last of them.

    The last call tries letters that could not be sent again, as many again at most.
    """

    letters: int
    bytes: int
    seconds: float = math.inf


class _Left:
    """What is left of a call's bounds."""

    def __init__(self, bounds: Bounds | None) -> None:
        self._bounds = (math.inf, math.inf) if bounds is None else bounds[:2]
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + (math.inf if bounds is None else bounds.seconds)
        self.renew()

    def renew(self) -> None:
        """Give letters and bytes once more, but no time."""
        self._letters: float
        self._bytes: float
        self._letters, self._bytes = self._bounds

    def take(self, letters: int, size: int) -> None:
        """Take so many letters and bytes from it."""
        self._letters -= letters
        self._bytes -= size

    @property
    def is_nothing(self) -> bool:
        """Tell whether the call has to end."""
        return self._letters <= 0 or self._bytes <= 0 or self._clock() >= self._until


@dataclass
class RedriveOutcome:
    """What a redrive did: letters sent back by (topic, reason), and those it could not send.

    `redriven` of the chosen ones were sent back before, `gone` of them are not there (any more), or
    not the project's. `more` may be left where the bounds were reached.
    """

    sent: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    failed: list[tuple[Found, str]] = field(default_factory=list)
    redriven: int = 0
    gone: int = 0
    more: bool = False

    def count(self, found: Found) -> None:
        """Count a letter as sent."""
        assert found.letter is not None
        self.sent[found.letter.topic, found.letter.reason] += 1

    def add(self, other: "RedriveOutcome") -> None:
        """Add what a further transaction did."""
        for what, count in other.sent.items():
            self.sent[what] += count
        self.failed.extend(other.failed)


async def would_redrive(
    settings: Settings, records: RecordReader, wanted: Filter, progress: Progress = _nobody
) -> RedriveOutcome:
    """Return what `redrive` would send.

    Raises:
        KafkaError, NoSuchTopic: no broker answers, or the topics are not there.
    """
    redriven = Redriven(await read_positions(settings))
    outcome = RedriveOutcome()
    async for found in read_letters(settings, lambda p: redriven.start(wanted, p), progress):
        if _is_left(found, wanted, redriven):
            outcome.count(found)
    async for found in _failed_before(records, wanted, redriven, None):
        outcome.count(found)
    return outcome


def _is_left(found: Found, wanted: Filter, redriven: Redriven) -> bool:
    letter = found.letter
    return letter is not None and wanted.matches(letter) and not redriven.includes(found)


async def _failed_before(
    records: RecordReader, wanted: Filter, redriven: Redriven, bounds: Bounds | None
) -> AsyncGenerator[Found]:
    """Yield the letters that could not be sent, and lie before where a run begins.

    They are fetched one by one: a run that began at the first of them would read all others'
    letters behind it again. Where there are too many, it is the newest: their originals are the
    likeliest to be there.
    """
    places = redriven.failed_before(wanted)
    if bounds is not None:
        places = places[-bounds.letters :]
    for partition, offset in sorted(places):
        found = await _letter_at(records, partition, offset)
        if found is not None and _is_left(found, wanted, redriven):
            yield found


async def redrive(
    settings: Settings,
    records: RecordReader,
    wanted: Filter,
    bounds: Bounds | None = None,
    *,
    progress: Progress = _nobody,
) -> RedriveOutcome:
    """Send the originals of the letters that match back to their topics.

    A record goes back with its key, its value, its timestamp (it is what `createdAt` and the
    period of an event without a time of its own come from) and its headers, and with
    `milestream-attempts`; but without those that ask for a reply, for nobody waits for it any
    more. It goes to its member's partition; where no member can be read, to the one where it lay.
    Letters that could not be sent are tried again by the next run, after the new ones.

    Args:
        settings: where the topics are.
        records: reads originals that their letters do not carry.
        wanted: which letters.
        bounds: where it stops; a repeat goes on from there.
        progress: is told how far the letters were gone through.

    Raises:
        KafkaError, NoSuchTopic: no broker answers, or the topics are not there.
        ProducerFenced: another redrive took over.
    """
    async with _the_redrive(settings) as producer:
        redriven = Redriven(await read_positions(settings))
        marks = _Passed(wanted, redriven)
        run = _Redrive(settings, records, producer, redriven, marks)
        left = _Left(bounds)
        letters = read_letters(settings, lambda p: redriven.start(wanted, p), progress)
        async with aclosing(letters):
            async for found in letters:
                if left.is_nothing:
                    run.outcome.more = True
                    break
                left.take(0, len(found.raw))
                if _is_left(found, wanted, redriven):
                    left.take(1, await run.add(found))
                marks.pass_by(found)
        if not run.outcome.more:
            left.renew()
            async for found in _failed_before(records, wanted, redriven, bounds):
                left.take(1, len(found.raw) + await run.add(found))
                if left.is_nothing:
                    break
        await run.end()
        return run.outcome


async def redrive_chosen(
    settings: Settings, records: RecordReader, project: str, chosen: Collection[tuple[int, int]]
) -> RedriveOutcome:
    """Send the originals of some letters of a project back, as `redrive` does.

    Args:
        settings: where the topics are.
        records: reads the letters, and originals that they do not carry.
        project: whose they are to be; others' are as if they were not there.
        chosen: partition and offset of each on `dead-letters`.

    Raises:
        TooManyChosen: more were sent one by one than are kept track of.
        KafkaError, NoSuchTopic, ProducerFenced: see `redrive`.
    """
    async with _the_redrive(settings) as producer:
        redriven = Redriven(await read_positions(settings))
        if redriven.may_choose(project) < len(chosen):
            raise TooManyChosen
        run = _Redrive(settings, records, producer, redriven, _Chosen(redriven))
        partitions = await partitions_of_topic(settings, settings.topic(DEAD_LETTERS))
        there = {each.partition for each in partitions}
        for partition, offset in sorted(set(chosen)):
            found = await _letter_at(records, partition, offset) if partition in there else None
            if found is None or found.letter is None or found.letter.project != project:
                run.outcome.gone += 1
            elif redriven.includes(found):
                run.outcome.redriven += 1
            else:
                await run.add(found)
        await run.end()
        return run.outcome


def _the_redrive(settings: Settings) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    # One name for all: two redrives at once would both send a letter.
    return transactional_producer(settings, "redrive", max_request_size=6 * MIB)


async def _letter_at(records: RecordReader, partition: int, offset: int) -> Found | None:
    try:
        return found_in(await records.at(records.place(DEAD_LETTERS, partition), offset))
    except Removed:
        return None


class _Marks(Protocol):
    """What a transaction keeps of the letters that it sends."""

    def records(self, sent: Iterable[Found]) -> Iterable[tuple[bytes, bytes]]:
        """Return keys and values for the topic of positions."""


class _Chosen:
    """Each letter by itself, but for those that a filter has passed already."""

    def __init__(self, redriven: Redriven) -> None:
        self._redriven = redriven

    def records(self, sent: Iterable[Found]) -> Iterable[tuple[bytes, bytes]]:
        """Return a record for each letter."""
        return [
            (Redriven.chosen_key(partition, offset), Redriven.kind_value(letter))
            for partition, offset, _, _, letter in sent
            if letter is not None
            and not self._redriven.passed_by(Kind(letter.reason, letter.project), partition, offset)
        ]


class _Passed:
    """How far the letters of a filter were gone through."""

    def __init__(self, wanted: Filter, redriven: Redriven) -> None:
        self._wanted = wanted
        self._redriven = redriven
        self._reached: dict[int, int] = {}

    def pass_by(self, found: Found) -> None:
        """Go past a letter, which was taken or is not meant."""
        # Letters that are tried again lie before the start.
        if found.offset >= self._redriven.start(self._wanted, found.partition):
            reached = self._reached.get(found.partition, 0)
            self._reached[found.partition] = max(reached, found.offset + 1)

    def records(self, sent: Iterable[Found]) -> Iterable[tuple[bytes, bytes]]:
        """Return the positions that have moved."""
        for each in sent:
            self.pass_by(each)
        moved = [
            (Redriven.key(self._wanted, partition), str(offset).encode())
            for partition, offset in self._reached.items()
        ]
        self._reached.clear()
        return moved


class Taken(NamedTuple):
    """A letter with the value of its original, where it was fetched, or why it could not be."""

    found: Found
    fetched: bytes | None = None
    why: str | None = None


class Gathered:
    """Letters that go back in one transaction."""

    def __init__(self) -> None:
        self.letters: list[Taken] = []
        self._bytes = 0

    def add(self, taken: Taken) -> None:
        """Take a letter."""
        self.letters.append(taken)
        self._bytes += len(taken.found.raw) + len(taken.fetched or b"")

    @property
    def is_full(self) -> bool:
        """Tell whether it is enough, in number or in memory."""
        return (
            len(self.letters) >= _LETTERS_PER_TRANSACTION or self._bytes >= _BYTES_PER_TRANSACTION
        )


class _Redrive:
    """One redrive: letters gathered until they fill a transaction."""

    def __init__(
        self,
        settings: Settings,
        records: RecordReader,
        producer: AIOKafkaProducer,
        redriven: Redriven,
        marks: _Marks,
    ) -> None:
        self.outcome = RedriveOutcome()
        self._settings = settings
        self._positions = settings.topic(positions_topic(settings.application_id).name)
        self._records = records
        self._producer = producer
        self._redriven = redriven
        self._marks = marks
        self._gathered = Gathered()
        self._homes: dict[str, _Home] = {}

    async def add(self, found: Found) -> int:
        """Take a letter; send what was gathered when it is enough for a transaction.

        Returns:
            the bytes that were fetched for it.
        """
        taken = await self._taken(found)
        self._gathered.add(taken)
        if self._gathered.is_full:
            await self.flush()
        return len(taken.fetched or b"")

    async def _taken(self, found: Found) -> Taken:
        letter = found.letter
        assert letter is not None
        if letter.value is not None:
            return Taken(found)
        try:  # too large for a letter, or there was none
            return Taken(found, await self._original_value(letter))
        except CannotRedrive as error:
            return Taken(found, why=str(error))

    async def end(self) -> None:
        """Send the rest, and remove the marks that say nothing more."""
        await self.flush()
        places = [
            self._records.place(DEAD_LETTERS, each.partition)
            for each in await partitions_of_topic(
                self._settings, self._settings.topic(DEAD_LETTERS)
            )
        ]
        begins = await self._records.begins(places)
        needless = self._redriven.needless({p.partition: begin for p, begin in begins.items()})
        if not needless:
            return
        batches = Batches(self._producer)
        for key in needless[:_LETTERS_PER_TRANSACTION]:
            batches.add(self._positions, 0, key, None)
        async with self._producer.transaction():
            await batches.send()

    async def flush(self) -> None:
        """Send what was gathered, with the marks after it, in one transaction."""
        outcome = RedriveOutcome()
        batches = Batches(self._producer)
        for taken in self._gathered.letters:
            try:
                await self._put(batches, taken)
                outcome.count(taken.found)
            except CannotRedrive as error:
                outcome.failed.append((taken.found, str(error)))
        self._keep(batches, outcome)
        if batches:
            async with self._producer.transaction():
                await batches.send()
        self.outcome.add(outcome)
        self._gathered = Gathered()

    def _keep(self, batches: Batches, outcome: RedriveOutcome) -> None:
        """Put into the transaction what was sent, and which letters could not be."""
        failed = {(found.partition, found.offset) for found, _ in outcome.failed}
        sent = []
        for found, _, _ in self._gathered.letters:
            place = found.partition, found.offset
            if place not in failed:
                sent.append(found)
            if self._redriven.failed(found) is not (place in failed):
                assert found.letter is not None
                value = Redriven.kind_value(found.letter) if place in failed else None
                batches.add(self._positions, 0, Redriven.failed_key(*place), value)
        for key, value in self._marks.records(sent):
            batches.add(self._positions, 0, key, value)

    async def _put(self, batches: Batches, taken: Taken) -> None:
        letter = taken.found.letter
        assert letter is not None
        if taken.why is not None:
            raise CannotRedrive(taken.why)
        home = self._homes.get(letter.topic)
        if home is None:
            home = self._homes[letter.topic] = await _home(self._settings, letter.topic)
        value = taken.fetched if letter.value is None else letter.original_value()
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

    async def _original_value(self, letter: DeadLetter) -> bytes | None:
        """Fetch a value from where the record first lay.

        Raises:
            CannotRedrive: it lies there no more.
        """
        place = self._records.place(letter.topic, letter.partition)
        try:
            value: bytes | None = (await self._records.at(place, letter.offset)).value
        except Removed as error:
            raise CannotRedrive("is not in its topic any more") from error
        except KafkaError as error:
            raise CannotRedrive("cannot be read from its topic now") from error
        return value


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

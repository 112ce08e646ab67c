"""An import: lines into batches, batches into transactions, each with the position it reached.

**Exactly once.** Each transaction holds some 16,000 records and one record on the positions topic:
the bytes of the file that are done, and their SHA-256. Killed anywhere, the same command goes on
after the last committed transaction: nothing is lost and nothing is there twice for a reader with
`isolation.level=read_committed`. Two runs of the same import at once fence each other: the later
one goes on, the earlier one ends.

**What counts as the same import**: the same path, topic and `--project`. Where the file has grown,
the rest is imported. Where what was imported of it has changed, the import is refused, for then
nobody can say which lines are new; `--restart` imports all of it again.

**A bad line** (a row that does not fit its header, or a record that `checking` refuses) ends the
import by default: what stands before it is committed, nothing after it is sent. Corrected from that
line on, the same command goes on there. Every other line is sent as it is, but for the personal
fields of members, which are sealed.
"""

import asyncio
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cramjam
import msgspec
from aiokafka import AIOKafkaProducer

from deploy.apply import projects_on_clocks
from deploy.clients import partitions_of_topic, read_positions, transactional_producer
from deploy.errors import CommandError
from deploy.importing.checking import BadRecord, RecordCheck, with_project
from deploy.importing.columns import FileColumns
from deploy.importing.sealing import NewKey, Sealing
from deploy.importing.sources import READERS, STDIN, Format, Line, SourceError, Tape
from schemas import ids
from schemas.kafka.batches import Batches
from schemas.settings import Settings
from schemas.topics import MIB, TOPICS, positions_topic

_RECORDS_PER_TRANSACTION = 16_000
_BYTES_PER_TRANSACTION = 8 * MIB
_OVERHEAD_BYTES = 1024
"""Room for a record's key and its batch's head below the topic's `max.message.bytes`."""


@dataclass(frozen=True)
class Import:
    """What is to be imported, and how.

    Attributes:
        topic: the topic's name in the catalogue.
        file: a path, or `-` for standard input, which cannot be gone on with.
        project: written into lines that name none; None leaves them as they are.
        texts: the CSV columns whose cells stay text, whatever they look like.
    """

    topic: str
    file: str
    format: Format
    project: str | None = None
    skip_bad: bool = False
    restart: bool = False
    texts: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Names this import among all others; empty for standard input."""
        if self.file == STDIN:
            return ""
        named = "\0".join((str(Path(self.file).resolve()), self.topic, self.project or ""))
        return hashlib.sha256(named.encode()).hexdigest()[:24]


class Position(msgspec.Struct):
    """How far an import has got: bytes of the file (decompressed) with their SHA-256, records."""

    file: str
    topic: str
    position: int = 0
    sha256: str = ""
    records: int = 0
    skipped: int = 0


@dataclass
class Outcome:
    """What one run did, and where it began."""

    records: int = 0
    skipped: int = 0
    resumed_records: int = 0
    resumed_position: int = 0


@dataclass
class Watcher:
    """What is told of a run as it goes: total and done bytes on disk, records; bad lines."""

    progress: Callable[[int, int, int], None] = lambda _total, _done, _records: None
    bad_line: Callable[[int, str], None] = lambda _number, _problem: None


@dataclass
class _Chunk:
    """What one transaction sends."""

    batches: Batches
    keys: Sequence[NewKey] = ()
    """Keys of members that its records are sealed under, and that are not written yet."""
    records: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    position: int = 0
    sha256: str = ""
    on_disk: int = 0
    last: bool = False


async def run_import(settings: Settings, job: Import, watcher: Watcher) -> Outcome:
    """Send what is not yet sent of the file.

    Raises:
        CommandError: a bad line, an unreadable or changed file, no broker, no topic.
    """
    name = f"import-{job.key}" if job.key else f"import-stdin-{ids.derive(str(id(job)))}"
    async with transactional_producer(settings, name, max_request_size=4 * MIB) as producer:
        start = await _start(settings, job)
        partitions = await partitions_of_topic(settings, settings.topic(job.topic))
        manual = await projects_on_clocks(settings)
        check = RecordCheck(job.topic, len(partitions), round(time.time() * 1000), manual)
        try:
            tape = Tape(job.file)
        except OSError as error:
            raise CommandError(f"{job.file}: {error.strerror or error}") from error
        try:
            if start.position:
                await asyncio.to_thread(_check_beginning, job, start)
            async with Sealing(settings, len(partitions)) as sealing:
                run = _Run(settings, job, watcher, producer, check, sealing, tape, start)
                return await run.transfer()
        except (SourceError, OSError, EOFError, zlib.error, cramjam.DecompressionError) as error:
            raise CommandError(f"{job.file}: {error}") from error
        finally:
            tape.close()


async def _start(settings: Settings, job: Import) -> Position:
    """Return where to begin: where the last committed transaction of this import ended."""
    known = await read_positions(settings)  # also says clearly that the topics are not there
    raw = known.get(f"import/{job.key}") if job.key and not job.restart else None
    return msgspec.json.decode(raw, type=Position) if raw else Position(job.file, job.topic)


def _check_beginning(job: Import, start: Position) -> None:
    """Make sure that what was imported of the file stands in it still.

    Raises:
        SourceError: it does not.
    """
    tape = Tape(job.file)
    try:
        tape.skip_to(start.position)
        if tape.digest() != start.sha256:
            raise SourceError(
                f"its first {start.position:,} bytes, which are imported, have changed since; "
                "use --restart to import all of it again"
            )
    finally:
        tape.close()


@dataclass
class _Run:
    """One run over one file."""

    settings: Settings
    job: Import
    watcher: Watcher
    producer: AIOKafkaProducer
    check: RecordCheck
    sealing: Sealing
    tape: Tape
    start: Position
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(
            resumed_records=self.start.records, resumed_position=self.start.position
        )
        self.topic = self.settings.topic(self.job.topic)
        self.positions = self.settings.topic(positions_topic(self.settings.application_id).name)
        limit = int(TOPICS[self.job.topic].config["max.message.bytes"])
        self.max_bytes = limit - _OVERHEAD_BYTES

    async def transfer(self) -> Outcome:
        """Read and place the next chunk in a thread while the last one is on its way."""
        columns = FileColumns(self.job.topic, self.job.texts)
        lines = READERS[self.job.format](self.tape, self.start.position, self.max_bytes, columns)
        reading = asyncio.create_task(asyncio.to_thread(self._collect, lines))
        try:
            while True:
                chunk = await reading
                if not chunk.last:
                    reading = asyncio.create_task(asyncio.to_thread(self._collect, lines))
                await self._commit(chunk)
                if chunk.last:
                    break
        finally:
            if not reading.done():
                await asyncio.wait([reading])  # its thread holds the file
        if chunk.bad and not self.job.skip_bad:
            raise self._refusal(*chunk.bad[0])
        return self.outcome

    def _collect(self, lines: Iterator[Line]) -> _Chunk:
        """Place the next lines; stop before a bad one unless bad ones are skipped."""
        tape = self.tape
        chunk = _Chunk(Batches(self.producer))
        until = tape.position + _BYTES_PER_TRANSACTION
        for number, value, unreadable in lines:
            problem = unreadable or self._place(chunk, value)
            if problem is not None:
                chunk.bad.append((number, problem))
                if not self.job.skip_bad:
                    chunk.last = True  # the bad line is not accepted
                    break
            tape.accept()
            if chunk.records >= _RECORDS_PER_TRANSACTION or tape.position >= until:
                break
        else:
            chunk.last = True
            tape.accept()
        chunk.keys = self.sealing.take_new()
        chunk.position, chunk.sha256 = tape.accepted, tape.digest()
        chunk.on_disk = tape.bytes_on_disk()
        return chunk

    def _place(self, chunk: _Chunk, value: bytes) -> str | None:
        """Put a record into the batch of its partition; return what is wrong with it."""
        try:
            if self.job.project is not None:
                value = with_project(value, self.job.project)
            found = self.check.read(value)
            key, partition = self.check.home(found)
            value = self.sealing.sealed(found, value, partition)
        except BadRecord as error:
            return str(error)
        chunk.batches.add(self.topic, partition, key, value)
        chunk.records += 1
        return None

    async def _commit(self, chunk: _Chunk) -> None:
        """Send a chunk and its position in one transaction."""
        if self.job.skip_bad:
            for number, problem in chunk.bad:
                self.watcher.bad_line(number, problem)
        outcome, start = self.outcome, self.start
        skipped = len(chunk.bad) if self.job.skip_bad else 0
        if chunk.records or skipped:
            if self.job.key:
                reached = Position(
                    self.job.file,
                    self.job.topic,
                    chunk.position,
                    chunk.sha256,
                    start.records + outcome.records + chunk.records,
                    start.skipped + outcome.skipped + skipped,
                )
                key = f"import/{self.job.key}".encode()
                chunk.batches.add(self.positions, 0, key, msgspec.json.encode(reached))
            await self.sealing.write(chunk.keys)
            async with self.producer.transaction():
                await chunk.batches.send()
        outcome.records += chunk.records
        outcome.skipped += skipped
        self.watcher.progress(self.tape.size, chunk.on_disk, outcome.records)

    def _refusal(self, number: int, problem: str) -> CommandError:
        before = self.start.records + self.outcome.records
        return CommandError(
            f"{self.job.file}, line {number}: {problem}. {before:,} records before it are "
            "imported, nothing after it. Correct it and run the same command again, which goes on "
            "there; or leave such lines out with --skip-bad"
        )

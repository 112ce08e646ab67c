"""What a file's records come to under definitions that are tried, and under those in force.

Each record is folded as if it had arrived when it happened, and time goes on with them by whole
days of their project: so tiers, caps and what lapses are as they would have been.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import cramjam
import msgspec

from deploy.errors import CommandError
from deploy.importing.checking import BadRecord, RecordCheck, happened_at, with_project
from deploy.importing.columns import FileColumns
from deploy.importing.sources import READERS, Format, Line, SourceError, Tape
from processor.domain.aggregates.period import local_date
from processor.domain.definitions import Definitions
from processor.domain.fold import Part
from processor.domain.inputs import Place, Read
from processor.simulation.figures import Calendar, Figures
from processor.simulation.world import World, known_member, scratch_stores
from schemas.instants import from_millis, millis_of
from schemas.records import Tick
from schemas.topics import MAX_RECORD_BYTES, MIB, TICKS

_RECORDS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 4 * MIB
_WHERE = Place(0, 1, {})
_TICK = msgspec.json.encode(Tick(ends={}))

Progress = Callable[[int, int, int], None]
"""Is told the bytes of the file on disk, how many of them were read, and how many records."""


@dataclass(frozen=True)
class InputFile:
    """A file in one of the formats of `milestream import`, and the topic that its records are of.

    Attributes:
        name: a path, or `-` for standard input.
        texts: the CSV columns whose cells stay text, whatever they look like.
    """

    name: str
    topic: str
    format: Format
    texts: frozenset[str] = frozenset()


class FileRecord(NamedTuple):
    """A line as the fold takes records; ``timestamp`` in milliseconds."""

    offset: int
    timestamp: int
    value: bytes
    key: None = None
    headers: tuple[()] = ()


@dataclass(frozen=True)
class FromFile:
    """The figures of a file's records: as tried, and under the definitions in force; and how many
    of them were of other projects, and left out."""

    tried: Figures
    in_force: Figures
    of_others: int


def simulate_file(
    file: InputFile, project: str, tried: Definitions, in_force: Definitions, progress: Progress
) -> FromFile:
    """Fold a file's records twice. Those that name no project are of ``project``.

    Raises:
        CommandError: the file cannot be read, or has a bad line.
    """
    here, there = Figures(), Figures()
    known = known_member(project)
    try:
        tape = Tape(file.name)
    except OSError as error:
        raise CommandError(f"{file.name}: {error.strerror or error}") from error
    try:
        with scratch_stores(_WHERE.partition) as stores:
            worlds = (
                World(_WHERE, stores[0], tried, here, Calendar(project, tried), known=known),
                World(
                    _WHERE,
                    stores[1],
                    in_force,
                    there,
                    Calendar(project, tried, in_force),
                    known=known,
                ),
            )
            run = _Run(file, project, tried, tape, worlds=worlds, progress=progress)
            run.fold_all()
            return FromFile(here, there, run.of_others)
    except (SourceError, OSError, EOFError, zlib.error, cramjam.DecompressionError) as error:
        raise CommandError(f"{file.name}: {error}") from error
    finally:
        tape.close()


class _Run:
    """One way through a file."""

    def __init__(
        self,
        file: InputFile,
        project: str,
        tried: Definitions,
        tape: Tape,
        *,
        worlds: tuple[World, World],
        progress: Progress,
    ) -> None:
        self._file = file
        self._project = project
        self._tape = tape
        self._worlds = worlds
        self._progress = progress
        self._now = round(time.time() * 1000)
        self._check = RecordCheck(file.topic, _WHERE.partitions, self._now)
        self._gathered: list[FileRecord] = []
        self._size = 0
        self._zone = tried.timezone(project)
        self._today: date | None = None
        """The latest day that a record was of."""
        self._records = self._ticks = 0
        self.of_others = 0

    def fold_all(self) -> None:
        """Fold all records.

        Raises:
            CommandError: a line is bad.
            SourceError: the file as a whole is.
        """
        for number, at, value in self._own():
            if at is not None:
                self._go_on_to(from_millis(at))
            timestamp = self._now if at is None else at
            self._gathered.append(FileRecord(number, timestamp, value))
            self._size += len(value)
            if len(self._gathered) >= _RECORDS_AT_ONCE or self._size >= _BYTES_AT_ONCE:
                self._fold()
        self._fold()

    def _own(self) -> Iterator[tuple[int, int | None, bytes]]:
        """Yield the project's records: a number, when it happened where it says so, its value."""
        file, tape = self._file, self._tape
        columns = FileColumns(file.topic, file.texts)
        for line in READERS[file.format](tape, 0, MAX_RECORD_BYTES, columns):
            value = with_project(line.value, self._project)
            tape.accept()
            read = self._read(line, value)
            if read.project != self._project:
                self.of_others += 1
                continue
            self._records += 1
            at = happened_at(read)
            yield self._records, None if at is None else millis_of(at), value

    def _read(self, line: Line, value: bytes) -> Read:
        """Return the record of a line.

        Raises:
            CommandError: it has none.
        """
        problem = line.problem
        if problem is None:
            try:
                return self._check.read(value)
            except BadRecord as error:
                problem = str(error)
        raise CommandError(f"{self._file.name}, line {line.number}: {problem}")

    def _go_on_to(self, moment: datetime) -> None:
        """Let time go on where a record is of a later day than all before it."""
        day = local_date(self._zone, moment)
        if self._today is not None and day > self._today:
            self._fold()
            begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self._zone))
            for world in self._worlds:
                self._tick(world, millis_of(begins))
        if self._today is None or day > self._today:
            self._today = day

    def _tick(self, world: World, timestamp: int) -> None:
        """Do all that is due at a moment."""
        more_due = True
        while more_due:
            self._ticks += 1
            tick = FileRecord(self._ticks, timestamp, _TICK)
            more_due = world.fold([Part(TICKS, [tick])])

    def _fold(self) -> None:
        if self._gathered:
            for world in self._worlds:
                world.fold([Part(self._file.topic, self._gathered)])
        self._gathered, self._size = [], 0
        self._progress(self._tape.size, self._tape.bytes_on_disk(), self._records)

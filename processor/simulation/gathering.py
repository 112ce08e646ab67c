"""Recorded chunks of one project, gathered to be folded at once.

Chunks may be of one record each, and folding costs something a chunk. What was folded under one set
of definitions, by one version of the fold, comes to the same together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from processor.domain.fold import FOLD_VERSION, Part, Poison
from processor.domain.inputs import Record
from processor.recorded import RecordedChunk
from schemas.json_limits import BOM
from schemas.records import project_of
from schemas.topics import FORWARDED, MEMBER_COMMANDS, MIB, TICKS

MAX_RECORDS = 2_000
MAX_BYTES = 4 * MIB
"""So much is folded at once."""


LEFT_OUT = "left_out"
"""Stands for the error of an input that a world is not to fold, though it was folded."""

Inputs = set[tuple[str, int]]
"""Topics (without prefix) and offsets of inputs."""


class Piece(msgspec.Struct, frozen=True):
    """What is folded at once: inputs in their order, those that could not be folded, and the
    version of the fold that folded them."""

    parts: list[Part]
    poisoned: Poison
    version: int


@dataclass
class Gathered:
    """What chunks have of one project: its records, and time."""

    project: str
    version: int = FOLD_VERSION
    """That of the fold which its chunks were folded by."""
    _parts: list[Part] = field(default_factory=list)
    _poisoned: dict[tuple[str, int], str] = field(default_factory=dict)
    _records: int = 0
    _size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as much as is folded at once."""
        return self._records >= MAX_RECORDS or self._size >= MAX_BYTES

    def take(self, chunk: RecordedChunk) -> None:
        """Add what a chunk has of the project."""
        for topic, records in chunk.parts:
            own = [
                each for each in records if topic == TICKS or project_of(each.value) == self.project
            ]
            if own:
                self._parts.append(Part(topic, own))
                self._records += len(own)
                self._size += _size(own)
        self._poisoned |= chunk.logged.errors()
        self.version = chunk.logged.fold

    def give(self) -> Piece | None:
        """Return all that was added, None where nothing was, and begin anew."""
        piece = Piece(self._parts, self._poisoned, self.version) if self._parts else None
        self._parts, self._poisoned, self._records, self._size = [], {}, 0, 0
        return piece


def ends_piece(gathered: Gathered, chunk: RecordedChunk, definitions_end: int) -> bool:
    """Tell whether what was gathered is to be folded before a chunk is added: what is due has
    bounds of its own in each chunk, and other definitions, or rules, are in force for it."""
    return (
        gathered.is_full
        or has_ticks(chunk)
        or chunk.logged.definitions > definitions_end
        or chunk.logged.fold != gathered.version
    )


def has_ticks(chunk: RecordedChunk) -> bool:
    """Tell whether a chunk has time in it: it is folded by itself."""
    return any(part.topic == TICKS for part in chunk.parts)


def _size(records: Iterable[Any]) -> int:
    return sum(len(each.value or b"") for each in records)


class _TypeOnly(msgspec.Struct):
    type: str = ""


_TYPE = msgspec.json.Decoder(_TypeOnly)
_CORRECTS = "correct-progress"


def corrections_of(parts: Iterable[Part]) -> Inputs:
    """Return the commands of recalculations among inputs, forwarded or not: they are no part of
    what happened."""
    return {
        (topic, record.offset)
        for topic, records in parts
        if topic in (MEMBER_COMMANDS, FORWARDED)
        for record in records
        if _is_correction(record)
    }


def _is_correction(record: Record) -> bool:
    try:
        return _TYPE.decode((record.value or b"").removeprefix(BOM)).type == _CORRECTS
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False

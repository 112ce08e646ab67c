"""Replaying what is recorded of one partition, up to a recalculation's cut."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from processor.domain.fold import Part
from processor.recalculation.worlds import Worlds
from processor.recorded import RecordedChunk, require_known
from processor.simulation.gathering import Gathered, Piece, ends_piece, has_ticks
from schemas.records import Cut
from schemas.topics import TICKS


class Replay:
    """Takes the chunks of a partition one after the other; gives out what is to be folded by the
    worlds, which is to be done before the next call."""

    def __init__(self, project: str, worlds: Worlds, cut: str | None = None) -> None:
        """``cut`` is the recalculation whose first cut ends it, None where none does."""
        self._worlds = worlds
        self._cut = cut
        self._gathered = Gathered(project)
        self.is_over = False
        """Whether it came to the cut."""

    def before(self, chunk: RecordedChunk) -> Piece | None:
        """Return what is to be folded before a chunk is taken, and before its definitions are.

        Raises:
            FoldedByNewer: the chunk was folded by a later version of the fold.
        """
        require_known(chunk)
        if ends_piece(self._gathered, chunk, self._worlds.definitions.next_offset):
            return self._gathered.give()
        return None

    def take(self, chunk: RecordedChunk) -> Piece | None:
        """Take a chunk, or what stands in it before the cut; return what is to be folded then."""
        if self._cut is not None and has_ticks(chunk):
            parts = list(_before_cut(self._cut, chunk.parts))
            self.is_over = _count(parts) < _count(chunk.parts)
            chunk = chunk._replace(parts=parts)
        self._gathered.take(chunk)
        return self._gathered.give() if has_ticks(chunk) or self.is_over else None

    def rest(self) -> Piece | None:
        """Return what is left to be folded at the end."""
        return self._gathered.give()


def _before_cut(recalculation_id: str, parts: Sequence[Part]) -> Iterator[Part]:
    """Return of a chunk's inputs those before the first cut of a recalculation."""
    for part in parts:
        place = cut_in(recalculation_id, part) if part.topic == TICKS else None
        if place is not None:
            yield Part(part.topic, part.records[:place])
            return
        yield part


def cut_in(recalculation_id: str, part: Part) -> int | None:
    """Return the place of a recalculation's first cut among ticks, None where there is none."""
    for place, record in enumerate(part.records):
        if _cut_of(record) == recalculation_id:
            return place
    return None


def _count(parts: Sequence[Part]) -> int:
    return sum(len(part.records) for part in parts)


class _CutOnly(msgspec.Struct):
    cut: Cut | None = None


_CUT = msgspec.json.Decoder(_CutOnly)


def _cut_of(record: Any) -> str | None:
    """Return the recalculation whose cut a record of ``ticks`` is, None where it is none."""
    value = record.value or b""
    if b"cut" not in value:
        return None
    try:
        cut = _CUT.decode(value).cut
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if cut is None else cut.recalculation_id.lower()

"""Holding what folding again gives against what was written: byte by byte, and in order.

But for what privacy takes away. ``member-events`` keeps the last event of each member alone, so an
earlier one may be missing where a later one stands. What a forgotten member's records said of it
cannot be read any more, so its outputs may be others: they are passed over on both sides. And the
ticks of its partition may have had more or less to do than they have now: their outputs are
compared by id.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from processor.domain.effects import Output
from processor.domain.fold import ChunkLogged, Part
from processor.recorded import Cursor
from schemas.topics import CHUNK_LOG, DEAD_LETTERS, MEMBER_EVENTS, OUTPUT_TOPICS, TICKS

_SHOWN = 500


class Difference(Exception):
    """The outputs are not what the inputs give; the message says where they first differ."""


class _Event(msgspec.Struct, gc=False):
    """Of a CloudEvent: which it is, and of which input."""

    id: str
    sequence: str


class _Letter(msgspec.Struct, gc=False):
    """Of a dead letter: of which record."""

    topic: str
    partition: int
    offset: int


_EVENT = msgspec.json.Decoder(_Event)
_LETTER = msgspec.json.Decoder(_Letter)


class Comparison:
    """The comparison of one partition's outputs, chunk after chunk."""

    def __init__(self, cursors: Mapping[str, Cursor], forgotten: AbstractSet[str]) -> None:
        """``cursors`` read the output topics; ``forgotten`` are the ids of members."""
        self.compared = 0
        """Outputs that were written as they should be."""
        self._members = _Members(cursors[MEMBER_EVENTS])
        self._cursors = cursors
        self._forgotten = {member.encode() for member in forgotten}
        self._of_ticks = _OfTicks()

    async def chunk(
        self, logged: ChunkLogged, parts: Sequence[Part], outputs: Mapping[str, Sequence[Output]]
    ) -> None:
        """Compare what folding a chunk's records again gives, but for its own on ``chunk-log``.

        Raises:
            Difference: something else was written.
        """
        if self._forgotten:
            await self._without_forgotten(logged, _ticks(parts, logged.sequence), outputs)
            return
        for name, expected in outputs.items():
            for output in expected:
                await self._compare(name, output, logged.sequence)

    async def end(self, goes_on: Callable[[], Awaitable[bool]]) -> None:
        """Check that what was written ends here; ``goes_on`` tells whether more was meanwhile.

        Raises:
            Difference: it does not.
        """
        self._members.end()
        self._of_ticks.end()
        for name in OUTPUT_TOPICS:
            surplus = await self._next(name)
            if surplus is not None and not await goes_on():
                raise Difference(_surplus(self._cursors[name], surplus))

    async def _compare(self, name: str, output: Output, sequence: int) -> None:
        if name == MEMBER_EVENTS:
            self.compared += await self._members.compare(output, sequence)
            return
        await _same(self._cursors[name], output, sequence)
        self.compared += 1

    async def _next(self, name: str) -> Any | None:
        """Return the next record that was written, but for those of forgotten members."""
        cursor = self._cursors[name]
        while (record := await cursor.peek()) is not None and record.key in self._forgotten:
            await cursor.next()
        return record

    async def _without_forgotten(
        self,
        logged: ChunkLogged,
        ticks: AbstractSet[int],
        outputs: Mapping[str, Sequence[Output]],
    ) -> None:
        """Compare a chunk where some members are passed over, and ``ticks`` may be late."""
        end = logged.sequence + logged.count
        for name in OUTPUT_TOPICS:
            for output in outputs.get(name, ()):
                if output.key in self._forgotten:
                    continue
                if self._is_of_tick(name, output.value, ticks):
                    self._of_ticks.add(name, output.value, 1)
                    continue
                await self._pass_ticks(name, ticks)
                await self._compare(name, output, logged.sequence)
            await self._pass_ticks(name, ticks)
            left = await self._next(name)
            if left is not None and _sequence(name, left.value, end) < end:
                raise Difference(_surplus(self._cursors[name], left))

    async def _pass_ticks(self, name: str, ticks: AbstractSet[int]) -> None:
        """Take what ticks of the chunk wrote next; of what may be theirs only what is expected."""
        while (record := await self._next(name)) is not None:
            if not self._is_of_tick(name, record.value, ticks):
                return
            if name == DEAD_LETTERS and not self._of_ticks.expected[name]:
                return
            self._of_ticks.add(name, record.value, -1)
            self.compared += 1
            await self._cursors[name].next()

    def _is_of_tick(self, name: str, value: bytes | None, ticks: AbstractSet[int]) -> bool:
        """Tell whether an output is of a tick, or may be: a dead letter does not say."""
        if name == DEAD_LETTERS:
            return True
        return _sequence(name, value, -1) in ticks


class _Members:
    """``member-events``, where a later event of a member may be all that is left."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._owed: dict[bytes | None, int] = {}
        """The chunk of an event that is missing, by the member of whom a later one must come."""

    async def compare(self, output: Output, sequence: int) -> bool:
        """Compare an event; tell whether it is there still.

        Raises:
            Difference: something else was written.
        """
        record = await self._cursor.peek()
        if record is not None and (record.key, record.value or b"") == (output.key, output.value):
            await self._cursor.next()
            self._owed.pop(output.key, None)
            return True
        if record is not None and record.value and output.value:
            written = int(_EVENT.decode(record.value).sequence)
            if written <= int(_EVENT.decode(output.value).sequence):
                raise Difference(_other(self._cursor, record, output, sequence))
        self._owed[output.key] = sequence
        return False

    def end(self) -> None:
        """Check that each event that is missing has a later one.

        Raises:
            Difference: one has none.
        """
        for key, sequence in self._owed.items():
            raise Difference(
                f"{self._cursor}, chunk of sequence {sequence}: an output is missing, and no later "
                f"one of {(key or b'').decode()} stands"
            )


class _OfTicks:
    """Outputs of ticks: which were expected and did not come yet, and the other way round."""

    def __init__(self) -> None:
        self.expected: Counter[str] = Counter()
        """By topic, how many more outputs are expected than came."""
        self._balance: Counter[tuple[str, Any]] = Counter()

    def add(self, name: str, value: bytes, count: int) -> None:
        """Count an output that is expected (1), or was written (-1)."""
        key = name, _identity(name, value)
        self.expected[name] += count
        self._balance[key] += count
        if not self._balance[key]:
            del self._balance[key]

    def end(self) -> None:
        """Check that the same were written as were expected.

        Raises:
            Difference: they were not.
        """
        for (name, which), count in self._balance.items():
            what = "is missing" if count > 0 else "is there, and no input gives it"
            raise Difference(f"{name}: an output of a tick {what}: {which}")


def _identity(name: str, value: bytes) -> Any:
    """Return what an output is told from others by, wherever it lies."""
    if name == DEAD_LETTERS:
        return msgspec.structs.astuple(_LETTER.decode(value))
    return _EVENT.decode(value).id


def _sequence(name: str, value: bytes | None, otherwise: int) -> int:
    """Return the place of the input that led to an output; ``otherwise`` where it says none."""
    if not value or name in (DEAD_LETTERS, CHUNK_LOG):
        return otherwise
    return int(_EVENT.decode(value).sequence)


def _ticks(parts: Sequence[Part], sequence: int) -> AbstractSet[int]:
    """Return the places of a chunk's ticks in the order of its partition's inputs."""
    found: set[int] = set()
    for part in parts:
        if part.topic == TICKS:
            found.update(range(sequence, sequence + len(part.records)))
        sequence += len(part.records)
    return found


async def _same(cursor: Cursor, output: Output, sequence: int) -> None:
    record = await cursor.next()
    if record is None:
        raise Difference(
            f"{_where(cursor, sequence)}: an output is missing: {_shown(output.value)}"
        )
    if record.key != output.key or record.value != output.value:
        raise Difference(_other(cursor, record, output, sequence))


def _other(cursor: Cursor, record: Any, output: Output, sequence: int) -> str:
    return (
        f"{_where(cursor, sequence)}, offset {record.offset}: {_shown(record.value)} was written, "
        f"folding again gives {_shown(output.value)}"
    )


def _surplus(cursor: Cursor, record: Any) -> str:
    return f"{cursor}, offset {record.offset}: no input gives this"


def _where(cursor: Cursor, sequence: int) -> str:
    return f"{cursor}, chunk of sequence {sequence}"


def _shown(value: bytes | None) -> str:
    return (value or b"null").decode()[:_SHOWN]

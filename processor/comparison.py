"""Holding what folding again gives against what was written: byte by byte, and in order.

But for what privacy takes away. ``member-events`` keeps the last event of each member alone, so an
earlier one may be missing where a later one stands. What a forgotten member's records said of it
cannot be read any more, so its outputs may be others: they are passed over on both sides. And the
ticks of its partition may have had more or less to do than they have now: their outputs are
compared by id, wherever they lie, and then byte by byte, but for when it was where another tick
made them. So are dead letters that may be of ticks: of no record of their chunk.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from processor.domain.effects import Output
from processor.domain.fold import ChunkLogged, Part
from processor.recorded import Cursor
from schemas.topics import CHUNK_LOG, DEAD_LETTERS, MEMBER_EVENTS, OUTPUT_TOPICS, TICKS

_SHOWN = 500
_WHEN = re.compile(rb'"sequence":"\d+"|"\d{4}-\d\d-\d\dT[0-9:.]+Z"')
_PERSONAL = frozenset({MEMBER_EVENTS, DEAD_LETTERS})
"""Topics whose records say who somebody is: messages show none of it."""


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
            await self._without_forgotten(logged, _Own.of(parts, logged), outputs)
            return
        for name, expected in outputs.items():
            for output in expected:
                await self._compare(name, output, logged.sequence)

    async def end(
        self, goes_on: Callable[[], Awaitable[bool]], go_on: Callable[[], Awaitable[None]]
    ) -> None:
        """Check that what was written ends here; ``goes_on`` tells whether more was meanwhile, and
        ``go_on`` has the cursor of ``member-events`` read that too: for it an earlier event may be
        gone since.

        Raises:
            Difference: it does not.
        """
        await self._pass_late_letters()
        self._of_ticks.end()
        for name in OUTPUT_TOPICS:
            surplus = await self._next(name)
            if surplus is not None and not await goes_on():
                raise Difference(_surplus(self._cursors[name], surplus))
        await self._members.end(go_on)

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
        own: "_Own",
        outputs: Mapping[str, Sequence[Output]],
    ) -> None:
        """Compare a chunk where some members are passed over, and ticks may be late."""
        end = logged.sequence + logged.count
        for name in OUTPUT_TOPICS:
            for output in outputs.get(name, ()):
                if output.key in self._forgotten:
                    continue
                if own.may_be_of_tick(name, output.value):
                    self._of_ticks.add(name, output.value, 1)
                    continue
                await self._pass_ticks(name, own)
                await self._compare(name, output, logged.sequence)
            if name == DEAD_LETTERS:
                continue  # one too many is met with later ones, or at the end
            await self._pass_ticks(name, own)
            left = await self._next(name)
            if left is not None and _sequence(name, left.value, end) < end:
                raise Difference(_surplus(self._cursors[name], left))

    async def _pass_ticks(self, name: str, own: "_Own") -> None:
        """Take what ticks wrote next; before a chunk's own dead letter, all that may be theirs."""
        while (record := await self._next(name)) is not None:
            if not own.may_be_of_tick(name, record.value):
                return
            await self._pass(name, record)

    async def _pass_late_letters(self) -> None:
        """At the end, take the dead letters that are still expected."""
        while (record := await self._next(DEAD_LETTERS)) is not None:
            if not self._of_ticks.is_expected(DEAD_LETTERS, record.value):
                return
            await self._pass(DEAD_LETTERS, record)

    async def _pass(self, name: str, record: Any) -> None:
        self._of_ticks.add(name, record.value, -1)
        self.compared += 1
        await self._cursors[name].next()


class _Own(NamedTuple):
    """What tells a chunk's own outputs from those of ticks."""

    ticks: AbstractSet[int]
    """The places of its ticks in the order of its partition's inputs."""
    logged: ChunkLogged

    @classmethod
    def of(cls, parts: Sequence[Part], logged: ChunkLogged) -> "_Own":
        """Return it for a chunk."""
        return cls(_ticks(parts, logged.sequence), logged)

    def may_be_of_tick(self, name: str, value: bytes | None) -> bool:
        """Tell whether an output is of a tick, or may be: a dead letter does not say."""
        if name != DEAD_LETTERS:
            return _sequence(name, value, -1) in self.ticks
        try:
            letter = _LETTER.decode(value or b"")
        except msgspec.MsgspecError:
            return True
        return letter.partition != self.logged.partition or not any(
            each.topic == letter.topic and each.first <= letter.offset <= each.last
            for each in self.logged.inputs
        )


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

    async def end(self, go_on: Callable[[], Awaitable[None]]) -> None:
        """Check that each event that is missing has a later one, which may be there by now.

        Raises:
            Difference: one has none.
        """
        if self._owed:
            await go_on()
            while self._owed and (record := await self._cursor.next()) is not None:
                self._owed.pop(record.key, None)
        for key, sequence in self._owed.items():
            raise Difference(
                f"{self._cursor}, chunk of sequence {sequence}: an output is missing, and no later "
                f"one of {(key or b'').decode()} stands"
            )


class _OfTick(NamedTuple):
    """An output of a tick, as far as it is compared; of a dead letter its bytes alone."""

    place: int
    whole: bytes
    timeless: bytes
    """A hash of its bytes, and of those that do not say when it was."""

    @classmethod
    def of(cls, name: str, value: bytes) -> "_OfTick":
        timeless = value if name == DEAD_LETTERS else _WHEN.sub(b"", value)
        return cls(_sequence(name, value, -1), sha256(value).digest(), sha256(timeless).digest())

    def same(self, other: "_OfTick") -> bool:
        """Tell whether they are the same, but for what another tick makes of it."""
        if self.place == other.place:
            return self.whole == other.whole
        return self.timeless == other.timeless


class _OfTicks:
    """Outputs of ticks: which were expected and did not come yet, and the other way round."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, Any], tuple[int, list[_OfTick]]] = {}
        """By topic and identity: whether they are expected (1) or were written (-1)."""

    def is_expected(self, name: str, value: bytes) -> bool:
        """Tell whether an output is expected that did not come yet."""
        return self._waiting.get((name, _identity(name, value)), (0, ()))[0] > 0

    def add(self, name: str, value: bytes, count: int) -> None:
        """Count an output that is expected (1), or was written (-1).

        Raises:
            Difference: both are there, and they are not the same.
        """
        key, output = (name, _identity(name, value)), _OfTick.of(name, value)
        sign, waiting = self._waiting.setdefault(key, (count, []))
        if sign == count:
            waiting.append(output)
            return
        if not waiting.pop(0).same(output):
            raise Difference(f"{name}: an output of a tick is another: {key[1]}")
        if not waiting:
            del self._waiting[key]

    def end(self) -> None:
        """Check that the same were written as were expected.

        Raises:
            Difference: they were not.
        """
        for (name, which), (sign, _) in self._waiting.items():
            what = "is missing" if sign > 0 else "is there, and no input gives it"
            raise Difference(f"{name}: an output of a tick {what}: {which}")


def _identity(name: str, value: bytes) -> Any:
    """Return what an output is told from others by, wherever it lies."""
    try:
        if name == DEAD_LETTERS:
            return msgspec.structs.astuple(_LETTER.decode(value))
        return _EVENT.decode(value).id
    except msgspec.MsgspecError:
        return "no output of ours"


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
            f"{_where(cursor, sequence)}: an output is missing: "
            f"{_shown(cursor.place.topic, output.value)}"
        )
    if record.key != output.key or record.value != output.value:
        raise Difference(_other(cursor, record, output, sequence))


def _other(cursor: Cursor, record: Any, output: Output, sequence: int) -> str:
    topic = cursor.place.topic
    return (
        f"{_where(cursor, sequence)}, offset {record.offset}: {_shown(topic, record.value)} was "
        f"written, folding again gives {_shown(topic, output.value)}"
    )


def _surplus(cursor: Cursor, record: Any) -> str:
    return f"{cursor}, offset {record.offset}: no input gives this"


def _where(cursor: Cursor, sequence: int) -> str:
    return f"{cursor}, chunk of sequence {sequence}"


def _shown(topic: str, value: bytes | None) -> str:
    if value and any(topic.endswith(name) for name in _PERSONAL):
        size = f"{len(value)} bytes, SHA-256 {sha256(value).hexdigest()[:12]}"
        name = DEAD_LETTERS if topic.endswith(DEAD_LETTERS) else MEMBER_EVENTS
        return f"{_identity(name, value)} ({size})"
    return (value or b"null").decode()[:_SHOWN]

"""Folding a chunk: records of one partition in, effects out. Pure but for ``load``.

A chunk is read whole first, so that all entries it needs come from the store in one call; then its
records are stepped through in order. Each entry is decoded and encoded once a chunk, however many
of its member's records the chunk holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple, get_args

import msgspec

from processor.domain.aggregates.parked import Held
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Answer, Effects, Forward, TooMuch
from processor.domain.fast_path import Common, Completed, Hits, MakeFastPath, fastest
from processor.domain.handlers.activity_logs import ActivityLogs
from processor.domain.handlers.activity_voids import ActivityVoids
from processor.domain.handlers.challenge_logs import ChallengeLogs
from processor.domain.handlers.clocks import Clocks
from processor.domain.handlers.corrections import Corrections
from processor.domain.handlers.event_voids import EventVoids
from processor.domain.handlers.events import Events
from processor.domain.handlers.handler import Handler
from processor.domain.handlers.log_voids import LogVoids
from processor.domain.handlers.member_commands import MemberCommands
from processor.domain.handlers.parking import Parking, may_wait, source_of
from processor.domain.handlers.pathways import Pathways
from processor.domain.handlers.spend_voids import SpendVoids
from processor.domain.handlers.spending import Spending
from processor.domain.handlers.ticks import Ticks
from processor.domain.handlers.tiers import Tiers
from processor.domain.handlers.voiding import VoidOf
from processor.domain.handlers.voids import Voids
from processor.domain.inputs import (
    MAX_TIMESTAMP,
    Input,
    Place,
    Read,
    Record,
    Refused,
    as_it_came,
    as_it_lay_first,
    origin_header,
    read,
)
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.domain.state_kinds import MEMBER, POSITION, member_key
from processor.domain.working_set import NOBODYS_FAULT, Load, Scan, WorkingSet
from schemas import dead_letter, replies
from schemas.dead_letter import DeadLetter, Reason
from schemas.instants import EPOCH, from_millis
from schemas.records import (
    ActivityLog,
    ChallengeLog,
    Event,
    ForgetMember,
    MemberCommand,
    Owner,
    Tick,
    Voidable,
    open_sealed,
    project_of,
)
from schemas.topics import (
    CHALLENGE_LOGS,
    CHUNK_LOG,
    DEAD_LETTERS,
    EVENTS,
    FORWARDED,
    MAX_VALUE_BYTES,
    partition_for,
)

FOLD_VERSION = 1
"""Which outputs a chunk's inputs give: raised with every change by which the same inputs give other
bytes. ``fold_chunk`` goes on folding as every earlier version did, for ``milestream verify``."""

MAX_READ_BYTES = 32 * 1024 * 1024
"""What a chunk may read of entries, and one record more: they are kept until it is folded."""


class Position(msgspec.Struct):
    """How far a partition was folded: the number of inputs, and the next offset of each topic."""

    sequence: int = 0
    offsets: dict[str, int] = {}


class Part(NamedTuple):
    """A chunk's records of one topic (name without prefix), in the order of their offsets."""

    topic: str
    records: Sequence[Record]


class _Ready(msgspec.Struct, frozen=True, gc=False):
    """A record that could be read, its handler, and what that prepared; a tick has none."""

    read: Read
    handler: Handler[Any, Any] | None = None
    prepared: Any = None


_Item = _Ready | tuple[Input, Refused]
_MaybeCommon = Common | _Item


class Range(msgspec.Struct):
    """The first and last offset that a chunk took of a topic."""

    topic: str
    first: int
    last: int


class Poisoned(msgspec.Struct):
    """An input that could not be folded: where it lies, and the name of the error."""

    topic: str
    offset: int
    error: str


class ChunkLogged(msgspec.Struct, rename="camel", omit_defaults=True):
    """The record of one chunk on ``chunk-log``: enough to fold the same again.

    ``fold`` is the version of the fold; chunks of before there were versions have none.
    """

    partition: int
    sequence: int
    count: int
    inputs: list[Range]
    definitions: int
    poisoned: list[Poisoned] = []
    fold: int = 0

    def errors(self) -> "Poison":
        """Return what ``fold_chunk`` is to be told of the inputs that could not be folded."""
        return {(each.topic, each.offset): each.error for each in self.poisoned}


Poison = Mapping[tuple[str, int], str]
"""By topic (without prefix) and offset of an input: the name of the error that folding it gave."""


_STATUS = {
    Reason.TOO_LARGE: 413,
    Reason.POISON: 500,
    Reason.HOLD_CLOSED: 409,
    Reason.TOO_MANY_HOLDS: 409,
    Reason.MEMBER_PAUSED: 409,
    Reason.BELONGS_TO_EVENT: 409,
    Reason.NOT_VOIDABLE: 409,
    Reason.OVER_VOIDED: 409,
    Reason.REWARD_REVOKED: 409,
}
MAX_TRACED_BYTES = MAX_VALUE_BYTES - 4096
"""A record is never refused for its trace: the answer goes without where both do not fit."""
_MAY_BE_COMMON = frozenset({CHALLENGE_LOGS, EVENTS})
_POSITION = msgspec.json.Decoder(Position)
NO_POISON: Poison = {}
_OF_POISON = "the record could not be processed"
"""What its sender is told: the error's name is an internal."""


def fold_chunk(
    place: Place,
    parts: Sequence[Part],
    definitions: Definitions,
    load: Load,
    scan: Scan,
    *,
    fast_path: MakeFastPath = fastest,
    poisoned: Poison = NO_POISON,
    whole: bool = False,
    version: int = FOLD_VERSION,
    keys: MemberKeys = NO_KEYS,
) -> Effects:
    """Fold one chunk under ``definitions`` as they are now, as that ``version`` of the fold did.

    Fields that ``keys`` do not open are absent.

    An input that ``poisoned`` names is not even read: it becomes a dead letter, and changes
    nothing. A chunk that leads to too much is cut, unless it is known to be ``whole``: the chunk
    log tells where it was cut, by whatever measure that version had.

    Records whose offset was folded before are passed over: the store knows how far it is, so a
    repeated delivery changes nothing even where the consumer group's offset was lost.
    """
    entries = WorkingSet(load, scan)
    fold = ChunkFold(place, definitions, entries, fast_path, poisoned, version=version, keys=keys)
    fold.run(parts, whole=whole)
    return fold.effects


class ChunkFold:
    """The folding of one chunk; lives as long as that takes."""

    def __init__(
        self,
        place: Place,
        definitions: Definitions,
        entries: WorkingSet,
        fast_path: MakeFastPath,
        poisoned: Poison,
        *,
        version: int = FOLD_VERSION,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        self.effects = Effects()
        self._member_keys = keys
        self._poisoned = poisoned
        self._version = version
        self._place = place
        self._definitions = definitions
        position = entries.load([POSITION])[0]
        self._position = Position() if position is None else _POSITION.decode(position)
        self._entries = entries
        self._fast_path = fast_path(place, definitions, entries, self.effects)
        self._logs = logs = ChallengeLogs(definitions, entries, self.effects)
        pathways = Pathways(definitions, entries)
        spending = Spending(definitions, entries, self.effects)
        self._tiers = Tiers(definitions, entries, self.effects)
        self._has_tiers = definitions.has_tiers()
        commands = MemberCommands(
            definitions,
            entries,
            self.effects,
            pathways=pathways,
            spending=spending,
            tiers=self._tiers,
            voids=Voids(entries, self.effects, _voids(definitions, entries, pathways)),
            corrections=Corrections(definitions, entries),
        )
        self._events = Events(
            definitions,
            entries,
            self.effects,
            logs=logs,
            fast_path=self._fast_path,
            tiers=self._tiers,
        )
        self._handlers: Mapping[type, Handler[Any, Any]] = {
            ChallengeLog: logs,
            Event: self._events,
            ActivityLog: ActivityLogs(entries, self.effects, pathways),
            **dict.fromkeys(get_args(MemberCommand), commands),
        }
        self._parking = Parking(self._entries)
        self._clocks = Clocks(definitions, entries, self.effects, place.partition)
        self._ticks = Ticks(
            definitions,
            entries,
            self.effects,
            spending=spending,
            tiers=self._tiers,
            clocks=self._clocks,
        )

    def run(self, parts: Sequence[Part], *, whole: bool) -> None:
        first = self._position.sequence
        queue: list[tuple[str, int, _MaybeCommon]] = []
        for part in parts:
            fresh = self._fresh(part)
            offsets = (record.offset for record in fresh)
            queue.extend(zip(repeat(part.topic), offsets, self._read_all(part.topic, fresh)))
        if not queue:
            return
        self._entries.prefetch(self._keys(item for _, _, item in queue))
        ranges: list[Range] = []
        for topic, offset, item in queue:
            if not whole and ranges and self._is_full():
                self.effects.complete = False
                break
            if isinstance(item, _Ready | tuple):
                self._take(item)
            elif not self._fast_path.step(item, self._position.sequence, self):
                self._take(self._read(topic, item.record))
            self._position.sequence += 1
            if ranges and ranges[-1].topic == topic:
                ranges[-1].last = offset
            else:
                ranges.append(Range(topic, offset, offset))
        self._close(first, ranges)

    def _is_full(self) -> bool:
        """Tell whether the chunk led to, or made read, as much as one may."""
        return self._is_written_full() or self._entries.read > MAX_READ_BYTES

    def _is_written_full(self) -> bool:
        """Tell whether the chunk led to as much as one may, whatever was read ahead for it.

        Whoever folds a chunk again has its records alone: what was read for those behind its end
        must not decide what happens in it.
        """
        return self.effects.size + self._entries.weight > MAX_OUTPUT_BYTES

    def _close(self, first: int, ranges: list[Range]) -> None:
        """Write down what was folded: the new entries, the position, the chunk's record."""
        folded = self._position.sequence - first
        self.effects.offsets = {span.topic: span.last + 1 for span in ranges}
        self._position.offsets |= self.effects.offsets
        self.effects.writes = self._entries.changes()
        self.effects.writes[POSITION] = msgspec.json.encode(self._position)
        writes = self.effects.writes
        self.effects.size += sum(map(len, writes)) + sum(map(len, filter(None, writes.values())))
        self.effects.counts["folded"] += folded
        logged = ChunkLogged(
            partition=self._place.partition,
            sequence=first,
            count=folded,
            inputs=ranges,
            definitions=self._definitions.next_offset,
            poisoned=[
                Poisoned(topic, offset, error)
                for (topic, offset), error in sorted(self._poisoned.items())
                if any(s.topic == topic and s.first <= offset <= s.last for s in ranges)
            ],
            fold=self._version,
        )
        self.effects.put(CHUNK_LOG, None, msgspec.json.encode(logged))

    def _fresh(self, part: Part) -> Sequence[Record]:
        """Leave out what was folded before."""
        next_offset = self._position.offsets.get(part.topic, 0)
        if not part.records or part.records[0].offset >= next_offset:
            return part.records
        fresh = [r for r in part.records if r.offset >= next_offset]
        self.effects.counts["skipped"] += len(part.records) - len(fresh)
        return fresh

    def _read_all(self, topic: str, records: Iterable[Record]) -> Iterable[_MaybeCommon]:
        if topic not in _MAY_BE_COMMON or self._poisoned:
            return (self._read(topic, record) for record in records)
        read_fast = self._fast_path.read
        return (read_fast(topic, record) or self._read(topic, record) for record in records)

    def _read(self, topic: str, record: Record) -> _Item:
        source = as_it_came(topic, self._place.partition, record)
        error = self._poisoned.get((topic, record.offset))
        if error is not None:
            return poison(source, error)
        try:
            if topic == FORWARDED:
                source = as_it_lay_first(source)
        except Refused as refused:
            return source, refused
        return self._read_input(source)

    def _read_input(self, source: Input) -> _Item:
        try:
            item = read(source)
            if isinstance(item.record, Tick):
                return _Ready(item)
            handler = self._handlers[type(item.record)]
            return _Ready(item, handler, handler.prepare(item, item.record))
        except Refused as refused:
            return source, refused

    def feed(self, record: Record, place: int) -> None:
        """Fold one of the logs that a common event feeds, which is not common itself."""
        ready = self._read(EVENTS, record)
        assert isinstance(ready, _Ready)
        context = self._context_of(ready.read)
        self._events.feed(context, ready.prepared, place)

    def give(self, completed: Completed) -> None:
        """Give the points of a challenge that a common event completed."""
        challenge, project, member_id, timestamp, progress_id, at = completed
        context = self._context(project, member_id, timestamp)
        self._logs.achievements.give_points(context, challenge, progress_id, at, reopened=False)

    def hit(self, hits: Hits) -> Sequence[str]:
        """Count a common event for streaks; return the keys of the periods that it hit."""
        streaks, project, member_id, timestamp, at, voidable = hits
        context = self._context(project, member_id, timestamp)
        return self._events.hit(context, streaks, at, voidable=voidable)

    def _keys(self, queue: Iterable[_MaybeCommon]) -> list[bytes]:
        keys: list[bytes] = []
        for ready in queue:
            if isinstance(ready, tuple):
                continue
            if not isinstance(ready, _Ready):
                keys += ready.keys
            elif ready.handler is not None:
                keys.append(member_key(ready.read.member_id))
                keys.extend(ready.handler.keys(ready.read, ready.read.record, ready.prepared))
        return keys

    def _take(self, ready: _Item) -> None:
        """Fold one record; a refusal becomes a dead letter and the flow goes on."""
        if isinstance(ready, tuple):
            self._refuse(*ready, member_id=None, project=None)
        else:
            self._take_read(ready)

    def _take_read(self, ready: _Ready) -> None:
        item, handler = ready.read, ready.handler
        if handler is None:
            assert isinstance(item.record, Tick)
            at = from_millis(item.input.timestamp)
            sequence = self._position.sequence
            self._ticks.step(item.record, at, sequence, self._look_at_parked)
            return
        self._entries.begin()
        self.effects.begin()
        try:
            if self._is_at_home(item):
                if item.sealed is not None:
                    self._open(item.member_id, item.sealed)
                context = self._context_of(item)
                answer = handler.step(context, item.record, ready.prepared)
                if self._has_tiers:
                    self._tiers.judge(context)
                if item.input.headers:
                    self._answer(item.input, answer)
                for member_id in tuple(self._entries.made_known):
                    if item.project in self._definitions.clocks:
                        self._clocks.keep(item.project, member_id)
                    self._release(member_id)
        except Refused as refused:
            self._take_back(item, refused)
        except TooMuch as error:
            self._take_back(item, Refused(Reason.TOO_LARGE, str(error)))

    def _open(self, member_id: str, owner: Owner) -> None:
        """Open what is sealed of a record's member, just before the record is folded. Where a
        command before it in the chunk forgot the member, the keys that it is to end are gone."""
        if owner.sealed is not None:
            first = self.effects.forgotten.get(member_id, 0)
            fields = None
            if first is not None:
                fields = self._member_keys.opened(member_id, owner.sealed, first)
            open_sealed(owner, fields)

    def _context_of(self, item: Read) -> RecordContext:
        source = item.input
        return self._context(item.project, item.member_id, source.timestamp, source)

    def _context(
        self, project: str, member_id: str, timestamp: int, source: Input | None = None
    ) -> RecordContext:
        at = now = from_millis(timestamp)
        if project in self._definitions.clocks:
            now = self._clocks.now_of(project, member_id) or at
        sequence = self._position.sequence
        trace = None if source is None else source.trace
        return RecordContext(self.effects, project, member_id, at, now, sequence, source, trace)

    def _take_back(self, item: Read, refused: Refused) -> None:
        self._entries.undo()
        self.effects.undo()
        if self._may_come_yet(item, refused):
            sequence = self._position.sequence
            parked = self._parking.park(item.member_id, item.input, refused.field, sequence)
            self.effects.count("parked")
            self._give_up(item.member_id, parked)
        else:
            self._refuse(item.input, refused, item.member_id, item.project)

    def _may_come_yet(self, item: Read, refused: Refused) -> bool:
        """Tell whether a refused record may wait for its member: nobody waits for its answer."""
        if refused.reason != Reason.UNKNOWN_MEMBER:
            return False
        if isinstance(item.record, ForgetMember):
            return False  # it is about who was there, and not who is about to come
        if self._entries.get(MEMBER, member_key(item.member_id)) is not None:
            return False  # deleted, or of another project
        try:
            return replies.reply_to(item.input.headers) is None and may_wait(item.input)
        except replies.MissingReplyTopic:
            return False

    def _release(self, member_id: str) -> None:
        """Fold what waited for a member, in its order, as far as the transaction has room."""
        waiting = list(self._parking.waiting(member_id))
        if not waiting:
            return
        done = 0
        for each in waiting:
            if self._is_written_full():
                self.effects.more_due = True
                break
            done += 1
            self.effects.count("released")
            self._take_released(source_of(self._parking.take(member_id, each)))
        self._parking.wait(member_id, waiting[done:], EPOCH)

    def _take_released(self, source: Input) -> None:
        """Fold a record that waited. One that cannot be folded is poison itself, at once: not the
        input that brought its member, nor the tick that looked at it, which would meet it again.
        """
        self._entries.begin()
        self.effects.begin()
        try:
            self._take(self._read_input(source))
        except NOBODYS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is poison
            self._entries.undo()
            self.effects.undo()
            self.effects.faults.append(error)
            self._take(poison(source, type(error).__name__))

    def _look_at_parked(self, member_id: str, now: datetime) -> None:
        """At a tick: give up what has waited long enough, or go on with a member that came."""
        if self._entries.get(MEMBER, member_key(member_id)) is not None:
            self._release(member_id)
        else:
            self._give_up(member_id, self._parking.expire(member_id, now))

    def _give_up(self, member_id: str, parked: Sequence[Held]) -> None:
        for held in parked:
            refused = Refused(Reason.UNKNOWN_MEMBER, "no such member", held.field)
            self._refuse(source_of(held), refused, member_id, project=None)

    def _is_at_home(self, item: Read) -> bool:
        """Forward a record that lies on another partition than its member; once.

        Raises:
            Refused: it was forwarded, and still lies on the wrong partition.
        """
        if self._lies_at_home(item.member_id):
            return True
        source = item.input
        if source.forwarded:
            raise Refused(Reason.MISPLACED, "forwarded to a partition that is not its member's")
        home = partition_for(item.member_id, self._place.partitions)
        headers = (*source.headers, origin_header(source))
        self.effects.forward(Forward(home, item.member_id.encode(), source.value, headers))
        self.effects.count("forwarded")
        return False

    def _lies_at_home(self, member_id: str) -> bool:
        """Tell whether this is a member's partition.

        Known members skip the partition hash: their state exists on their own partition only.
        """
        if self._entries.get(MEMBER, member_key(member_id)) is not None:
            return True
        return partition_for(member_id, self._place.partitions) == self._place.partition

    def _refuse(
        self, source: Input, refused: Refused, member_id: str | None, project: str | None
    ) -> None:
        self._bury(source, refused, member_id, project)
        if source.headers:
            self._answer(source, lambda: _refusal(refused))

    def _bury(
        self, source: Input, refused: Refused, member_id: str | None, project: str | None
    ) -> None:
        """Make a refused record a dead letter."""
        reason = refused.reason
        key, encoding = dead_letter.key_text(source.key)
        letter = DeadLetter(
            reason=reason,
            message=f"{refused.field}: {refused.message}" if refused.field else refused.message,
            project=project or project_of(source.value),
            topic=source.topic,
            partition=source.partition,
            offset=source.offset,
            key=key,
            key_encoding=encoding,
            value=dead_letter.base64_text(source.value),
            headers=dead_letter.headers_json(source.headers),
            attempts=dead_letter.attempts_of(source.headers),
            at=from_millis(min(max(source.timestamp, 0), MAX_TIMESTAMP)),
        )
        self.effects.put(
            DEAD_LETTERS, member_id.encode() if member_id else None, dead_letter.encode(letter)
        )
        self.effects.count(f"dead_letter:{reason}")

    def _answer(self, source: Input, make: Callable[[], replies.Reply]) -> None:
        """Answer where an answer is asked for; it is made and measured only then.

        Raises:
            TooMuch: our own topic of replies does not take it.
        """
        try:
            wanted = replies.reply_to(source.headers)
        except replies.MissingReplyTopic:
            self.effects.count("replies_refused")
            return
        if wanted is None:
            return
        value = self._answer_json(source, make())
        if len(value) + len(wanted.correlation_id) > MAX_VALUE_BYTES:
            raise TooMuch(f"the answer is larger than {MAX_VALUE_BYTES} bytes")
        # Measured wherever it goes: `milestream verify` does not know which topics there were, and
        # must refuse what is too large and stop at what fills a chunk as the worker did.
        self.effects.size += len(value)
        partitions = self._place.reply_partitions.get(wanted.topic, 0)
        if not 0 <= wanted.partition < partitions:
            self.effects.count("replies_refused")
            return
        self.effects.answers.append(
            Answer(wanted.topic, wanted.partition, wanted.correlation_id, value)
        )

    def _answer_json(self, source: Input, reply: replies.Reply) -> bytes:
        """Return an answer as it is sent."""
        return msgspec.json.encode(self._with_trace(source, reply))

    def _with_trace(self, source: Input, reply: replies.Reply) -> replies.Reply:
        """Return an answer with its record's trace, where there is one, and room for it."""
        if source.trace is None:
            return reply
        traced = replies.extended(reply, "trace", source.trace.json())
        return traced if len(bytes(traced.body)) <= MAX_TRACED_BYTES else reply


def _voids(
    definitions: Definitions, entries: WorkingSet, pathways: Pathways
) -> Mapping[Voidable, VoidOf]:
    """Return who voids what."""
    spend = SpendVoids(definitions, entries)
    return {
        "challenge_log": LogVoids(definitions, entries),
        "event": EventVoids(definitions, entries),
        "redemption": spend,
        "spend": spend,
        "capture": spend,
        "activity_log": ActivityVoids(entries, pathways),
    }


def poison(source: Input, error: str) -> tuple[Input, Refused]:
    """Return the refusal of an input that could not be folded, as it lay first where that can be
    read."""
    if source.topic == FORWARDED:
        with suppress(Refused):  # the dead letter then has the place where it lies
            source = as_it_lay_first(source)
    return source, Refused(Reason.POISON, f"could not be folded: {error}")


def _refusal(refused: Refused) -> replies.Reply:
    reason = refused.reason
    usual = _STATUS.get(reason, 404 if reason.startswith("unknown_") else 400)
    status = refused.status or usual
    errors = [replies.FieldError(refused.field, refused.message)] if refused.field else []
    message = _OF_POISON if reason == Reason.POISON else refused.message
    body = replies.Refusal(code=reason, message=message, errors=errors)
    return replies.Reply(status, msgspec.Raw(msgspec.json.encode(body)))

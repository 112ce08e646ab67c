"""Records of members that nobody knows yet: they wait for a minute, in case the member comes.

A producer without keys may send an upsert and a log one after the other, and they lie on different
partitions: the log can come home before its member. One entry of a member lists what waits; each
record is an entry of its own, under the place of its input in line. A due in the due-index tells a
tick to look: the first one says until when a record waits, for the fold has no clock but ticks, and
a later one gives it up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from processor.domain.aggregates.parked import Held, Parked, Waiting
from processor.domain.inputs import Input
from processor.domain.state_kinds import HELD, PARKED, held_key, parked_key
from processor.domain.working_set import WorkingSet
from schemas.instants import EPOCH, from_millis, millis_of

WAIT = timedelta(seconds=60)
MOST = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""Of the records of one member; more give up the oldest."""
HEADER_NAMES = 256 * 1024
"""Characters of all names of a record's headers, and four more for each: JSON may make six bytes of
one, and the entry must fit its topic."""


class Parking:
    """The records that wait on one partition."""

    def __init__(self, entries: WorkingSet) -> None:
        self._entries = entries

    def park(self, member_id: str, source: Input, field: str, sequence: int) -> Sequence[Held]:
        """Let a record wait; return those that are given up for it, the oldest first.

        ``field`` is what its refusal would name.
        """
        before = self._parked(member_id)
        held = Held(
            source.topic,
            source.partition,
            source.offset,
            source.timestamp,
            source.key,
            source.value,
            tuple(source.headers),
            source.forwarded,
            field,
        )
        self._entries.set(HELD, held_key(member_id, sequence), held)
        waiting = [*before.waiting, Waiting(sequence, held.size)]
        given_up = []
        size = sum(each.size for each in waiting)
        while len(waiting) > MOST or (size > MOST_BYTES and len(waiting) > 1):
            oldest = waiting.pop(0)
            size -= oldest.size
            given_up.append(self.take(member_id, oldest))
        self.wait(member_id, waiting, EPOCH)
        return given_up

    def waiting(self, member_id: str) -> Sequence[Waiting]:
        """Return what waits for a member, in order."""
        return self._parked(member_id).waiting

    def take(self, member_id: str, waiting: Waiting) -> Held:
        """Return a record, and keep it no longer; the caller says by ``wait`` what is left."""
        key = held_key(member_id, waiting.sequence)
        held = self._entries.get(HELD, key)
        assert held is not None
        self._entries.drop(key)
        return held

    def wait(self, member_id: str, waiting: Sequence[Waiting], due: datetime) -> None:
        """Write down what waits for a member, and when a tick is to look at it."""
        key = parked_key(member_id)
        before = self._parked(member_id)
        if before.due is not None:
            self._entries.drop_due(from_millis(before.due), key)
        if waiting:
            self._entries.add_due(due, key)
            self._entries.set(PARKED, key, Parked(tuple(waiting), millis_of(due)))
        else:
            self._entries.drop(key)

    def expire(self, member_id: str, now: datetime) -> Sequence[Held]:
        """Return what has waited long enough at a tick, and keep it no longer; what came since the
        last tick waits for ``WAIT`` from now on."""
        over, left = [], []
        until = millis_of(now + WAIT)
        for each in self.waiting(member_id):
            if each.until is None:
                left.append(Waiting(each.sequence, each.size, until))
            elif each.until <= millis_of(now):
                over.append(self.take(member_id, each))
            else:
                left.append(each)
        due = min((each.until or 0 for each in left), default=0)
        self.wait(member_id, left, from_millis(due))
        return over

    def _parked(self, member_id: str) -> Parked:
        return self._entries.get(PARKED, parked_key(member_id)) or Parked()


def may_wait(source: Input) -> bool:
    """Tell whether a record is of a form that can be kept."""
    return sum(len(name) + 4 for name, _ in source.headers) <= HEADER_NAMES


def source_of(held: Held) -> Input:
    """Return the input that a record was."""
    return Input(
        held.topic,
        held.partition,
        held.offset,
        held.timestamp,
        held.key,
        held.value,
        held.headers,
        held.forwarded,
    )

"""Test clocks in a chunk: the projects whose clock is moved by hand, and what is due by it.

A project's clock stands on each partition by itself, and has a due-index of its own, so no live
project waits for what is due there. A control record says how far it is to be moved; what is due
until then is done in pieces, a bounded number a chunk, in the order of its own moments. The clock
shows each moment while its dues are done, and the partition's next tick goes on.

A member goes by the clock that its project had when the member was made.
"""

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush

from msgspec.structs import replace

from processor.domain.aggregates import clock as clock_of
from processor.domain.aggregates.clock import Clock, Move, OnClock
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects
from processor.domain.state_kinds import (
    CLOCK,
    MEMBER,
    MOVE,
    MOVES,
    ON_CLOCK,
    clock_dues,
    clock_key,
    due_entry,
    due_range,
    member_key,
    member_of,
    move_key,
    on_clock_key,
    project_of_move,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import CLOCK_MOVED
from schemas.instants import millis_of

MAX_DUES = 100
"""What the moves of one chunk do together: whoever is live in it waits for little."""

DoDue = Callable[[bytes, bytes, datetime, datetime, int], None]
"""Takes a key out of its due-index, and does what is due: given that key, the entry's, what time it
is, the timestamp of the record that leads to it, and its place in line. It never fails."""


class Clocks:
    """The test clocks of one partition, in one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        partition: int,
    ) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._partition = partition
        self._left = MAX_DUES

    def now_of(self, project: str, member_id: str) -> datetime | None:
        """Return what time it is for a member of a project that has, or had, a clock of its own;
        None where the member does not go by it."""
        member = self._entries.get(MEMBER, member_key(member_id))
        if member is None:
            on_clock = self._definitions.is_manual(project)
        else:
            project = member.project
            on_clock = self._entries.get(ON_CLOCK, on_clock_key(member_id)) is not None
        if not on_clock:
            return None
        self._entries.go_by_clock(member_id, clock_dues(project))
        return self._clock(project).shows

    def keep(self, project: str, member_id: str) -> None:
        """Have a member that was just made go by its project's clock for good."""
        if not self._definitions.is_manual(project):
            return
        self._entries.set(ON_CLOCK, on_clock_key(member_id), OnClock())
        key = clock_key(project)
        if (
            self._entries.get(CLOCK, key) is None
        ):  # its definition may go, and take the moment along
            self._entries.set(CLOCK, key, self._clock(project))

    def move(self, project: str, to: datetime) -> None:
        """Begin to move a project's clock, or to move it further; what cannot be is counted."""
        self._entries.begin()
        self._effects.begin()
        key = move_key(project)
        after = None
        if project in self._definitions.clocks:
            after = clock_of.decide(self._clock(project), self._entries.get(MOVE, key), to)
        if after is None:
            self._effects.count("clock_refused")
        else:
            self._entries.set(MOVE, key, after)

    def go_on(self, do_due: DoDue, recorded_at: datetime, sequence: int) -> None:
        """Do what is due by the clocks that are being moved, as far as the chunk may."""
        moving = self._entries.keys(*MOVES, self._left + 1)
        for place, key in enumerate(moving):
            if self._left <= 0:
                self._effects.more_moves = True
                return
            share = max(1, self._left // (len(moving) - place))
            self._advance(project_of_move(key), share, do_due, recorded_at, sequence)

    def _clock(self, project: str) -> Clock:
        stored = self._entries.get(CLOCK, clock_key(project))
        return stored or clock_of.initial(self._definitions.clocks[project])

    def _advance(
        self, project: str, share: int, do_due: DoDue, recorded_at: datetime, sequence: int
    ) -> None:
        """Do at most so many dues of a project's move; end it where none is left."""
        move = self._entries.get(MOVE, move_key(project))
        assert move is not None
        clock, index, done = self._clock(project), clock_dues(project), 0
        first, last = due_range(move.to, index, move.reached)
        waiting = self._entries.keys(first, last, share + 1)
        bound = waiting.pop() if len(waiting) > share else last
        while waiting and done < share and not self._is_full():
            key = heappop(waiting)
            if key in self._entries.changed and self._entries.changed[key] is None:
                continue  # what was done before it has put it off
            at, entry = due_entry(key, index)
            clock, done = replace(clock, shows=max(clock.shows, at)), done + 1
            self._entries.go_by_clock(member_of(entry)[0], index)
            do_due(key, entry, clock.shows, recorded_at, sequence)
            move = replace(move, reached=millis_of(at))
            for new in self._entries.touched():
                if new.startswith(index) and new < bound and self._entries.changed.get(new):
                    heappush(waiting, new)
        self._left -= done
        self._effects.counts["clock_dues"] += done
        if waiting:
            move = replace(
                move, reached=min(move.reached, millis_of(due_entry(waiting[0], index)[0]))
            )
        self._entries.begin()
        self._effects.begin()
        if waiting or bound != last:
            self._effects.more_moves = True
            self._entries.set(CLOCK, clock_key(project), clock)
            self._entries.set(MOVE, move_key(project), move)
        else:
            self._arrive(project, clock, move, recorded_at, sequence)

    def _arrive(
        self, project: str, clock: Clock, move: Move, recorded_at: datetime, sequence: int
    ) -> None:
        """End a move, and publish it."""
        self._entries.drop(move_key(project))
        after = clock_of.evolve(clock, move)
        self._entries.set(CLOCK, clock_key(project), after)
        data = outputs.ClockMoved(
            id=ids.clock_id(project, self._partition),
            partition=self._partition,
            now=after.shows,
            version=after.moves,
            created_at=recorded_at,
        )
        # No member's: the event's subject and key are the project.
        context = RecordContext(self._effects, project, project, recorded_at, after.shows, sequence)
        context.emit(CLOCK_MOVED, data, at=after.shows, version=after.moves)

    def _is_full(self) -> bool:
        return self._effects.size + self._entries.weight > MAX_OUTPUT_BYTES

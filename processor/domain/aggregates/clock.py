"""A project's test clock on one partition: what it shows, and how far it is to be moved.

State, initial, evolve, decide. A move goes in pieces: what is due comes before what the clock shows
at last, in the order of its own moments, and the clock shows each moment on its way.
"""

from datetime import datetime

import msgspec

from schemas import clocks


class Clock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the clock shows; ``moves`` counts those that are done."""

    shows: datetime
    moves: int = 0


class Move(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A move that is under way: where to, and the moment (milliseconds since 1970) before which
    nothing is left to be done; 0: it has not begun, and what came late may be due still."""

    to: datetime
    reached: int = 0


class OnClock(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Says that a member goes by its project's clock: its key says everything."""


def initial(since: datetime) -> Clock:
    """Return a clock that was never moved."""
    return Clock(since)


def evolve(before: Clock, move: Move) -> Clock:
    """Return the clock after all of a move."""
    return Clock(move.to, before.moves + 1)


def decide(clock: Clock, move: Move | None, to: datetime) -> Move | None:
    """Return the move that a call to move the clock leads to, given one that is under way; None
    where it is refused.

    What came late is done, by a call that finds a move under way as well: it begins anew. How far
    one call may go is not held here, where a partition may have missed the call before it: what was
    accepted must not be refused for good.
    """
    before = clock.shows if move is None else move.to
    return Move(to) if before <= to <= clocks.LAST else None

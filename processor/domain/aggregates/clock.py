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

    To the same moment again, what came late is done.
    """
    if clocks.fault(clock.shows if move is None else move.to, to) is not None:
        return None
    if move is None:
        return Move(to)
    return move if to == move.to else msgspec.structs.replace(move, to=to)

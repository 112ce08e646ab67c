"""Test clocks: how far the clock of a project may be moved at once, and until when a project may
get another clock.

The API holds every call against this before it is written. The fold refuses only what goes back, or
beyond the last moment: a partition that missed one call must be able to take the next.
"""

from datetime import UTC, datetime

MOST_YEARS = 5
"""That one call may move a clock by."""
LAST = datetime(9998, 12, 31, tzinfo=UTC)
"""No clock goes beyond: what is due is reckoned with dates after it."""

KEPT = "cannot be changed, for the project has members"
"""Why a project does not get another clock (``DefinitionSet.changes_clock``): each member keeps the
one that its project had when it was made."""


def furthest(now: datetime) -> datetime:
    """Return how far a clock that shows ``now`` may be moved at once; from a 29 February to a 28th
    where the year has none."""
    year = now.year + MOST_YEARS
    if year >= LAST.year:
        return LAST
    try:
        return now.replace(year=year)
    except ValueError:
        return now.replace(year=year, day=28)


def fault(now: datetime, to: datetime) -> str | None:
    """Return why a clock that shows ``now`` cannot be moved to a moment; None where it can."""
    if to < now:
        return "must not be before what the clock shows"
    if to > furthest(now):
        return f"must be at most {MOST_YEARS} years after what the clock shows"
    return None

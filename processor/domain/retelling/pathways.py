"""The inputs that brought a member to milestones of a pathway, told again by what it completed."""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime

import msgspec


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """That a member completed an activity or had a log of it voided; or was enrolled, or no more.

    ``activity_id`` is empty where it is of the enrolment. ``complete`` tells whether the activity
    was completed afterwards, or the member enrolled. ``version`` is that of the pathway.
    """

    activity_id: str
    complete: bool
    at: datetime
    recorded_at: datetime
    void_id: str | None
    version: int
    sequence: int


class Step(msgspec.Struct, frozen=True):
    """A change, what it added to the required activities that are completed, and how many were
    afterwards. The enrolment adds nothing."""

    of: Change
    added: int
    after: int


def retell(changes: Iterable[Change], required: Set[str], until: int) -> list[Step]:
    """Return what moved the number of completed activities up to a place in the order, and the
    enrolment that was in force there: without one no milestone is given.

    Args:
        changes: all that are known of the member in the pathway.
        required: the activities that count, as the pathway was at that place.
        until: the place.
    """
    completed, steps, enrolled = set[str](), list[Step](), None
    for change in _in_order(changes, until):
        if not change.activity_id:
            enrolled = Step(change, 0, len(completed)) if change.complete else None
            if enrolled is not None:
                steps.append(enrolled)
        elif change.activity_id in required and change.complete != (
            change.activity_id in completed
        ):
            completed ^= {change.activity_id}
            steps.append(Step(change, 1 if change.complete else -1, len(completed)))
    return [step for step in steps if step.of.activity_id or step is enrolled]


def last_reached(
    changes: Sequence[Change], required: Set[str], *, target: int, first: int, until: int
) -> int:
    """Return the place in the order at which a member last came to so many completed activities.

    Voids may have left it with fewer, and a later completion may have brought it there again: what
    that led to is given for the later one.

    Args:
        changes: all that are known of the member in the pathway.
        required: the activities that count.
        target: how many they are to be.
        first: the place at which it first came there.
        until: a place in the order: nothing that was folded behind it is looked at.
    """
    place, short, enrolled, completed = first, False, False, set[str]()
    for change in _in_order(changes, until):
        if not change.activity_id:
            enrolled = change.complete
        elif change.activity_id in required:
            (completed.add if change.complete else completed.discard)(change.activity_id)
        if change.sequence <= first:
            continue
        if len(completed) < target:
            short = True
        elif short and enrolled:
            place, short = change.sequence, False
    return place


def _in_order(changes: Iterable[Change], until: int) -> list[Change]:
    """Return the changes up to a place; of one input first what it took, and what a void did before
    what follows from it."""

    def order(change: Change) -> tuple[int, bool, bool, str]:
        return change.sequence, change.complete, change.void_id is None, change.activity_id

    return sorted((change for change in changes if change.sequence <= until), key=order)

"""The rule of milestones: which of them a value reaches.

It is the same for a challenge's progress, a streak's length and a pathway's completed activities.
"""

from collections.abc import Collection, Sequence

from processor.domain.rules import Milestone


def reached(
    milestones: Sequence[Milestone], value: int, given: Collection[str]
) -> tuple[Milestone, ...]:
    """Return the milestones that a value newly reaches, by rising target.

    A milestone is newly reached where its definition is live, its target is at most the value, and
    it was not given before.

    Args:
        milestones: all there are, by rising target.
        value: in nanos, as the targets are.
        given: the ids of those that were given before.
    """
    found: tuple[Milestone, ...] = ()
    for milestone in milestones:
        if milestone.target > value:
            break
        if milestone.live and milestone.id not in given:
            found = (*found, milestone)
    return found


def upcoming(milestones: Sequence[Milestone], given: Collection[str]) -> Milestone | None:
    """Return the lowest live milestone that was not given yet; None where all were."""
    for milestone in milestones:
        if milestone.live and milestone.id not in given:
            return milestone
    return None

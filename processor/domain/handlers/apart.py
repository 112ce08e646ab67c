"""What is kept apart of a progress whose challenge goes by another method than it began with.

A recalculation has it go by the challenge's method. What live logs did since its cut was done by
the old one, and nothing else would say what it comes to by the new one.
"""

from processor.domain.aggregates.challenge import Apart
from processor.domain.state_kinds import APART, apart_key
from processor.domain.working_set import WorkingSet


def kept_apart(entries: WorkingSet, progress: bytes) -> int:
    """Return the nanos that are kept apart of a progress, by its key."""
    kept = entries.get(APART, apart_key(progress))
    return 0 if kept is None else kept.nanos


def keep_apart(entries: WorkingSet, progress: bytes, more: int) -> None:
    """Keep so many nanos more apart of a progress, by its key."""
    after = Apart(kept_apart(entries, progress) + more)
    entries.set(APART, apart_key(progress), after)

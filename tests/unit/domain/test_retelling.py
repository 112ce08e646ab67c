"""What led to something, told again: what is known to be lacking is said, not left out."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from processor.domain.retelling.tiers import Entry, Judged, retell
from processor.domain.rules import TierSet, Zone, compile_tier_set
from schemas.definition_set import DefinitionSet
from schemas.instants import parse_instant
from tests.spec import NOW, PROJECT, millis
from tests.tier_spec import STATUS, YEAR, tier_set

AT = parse_instant(NOW)


def rule() -> TierSet:
    """A set that goes by what is earned in a year."""
    defined = DefinitionSet()
    each = tier_set(0, 50, window=YEAR)
    defined.apply(each.key, each.value, 0, millis(NOW))
    stored = defined.get(PROJECT, "tier-set", STATUS)
    assert stored is not None
    return compile_tier_set(stored, Zone("UTC", by_member=False))


def entry(sequence: int, points: int) -> Entry:
    """Points that an event gave."""
    at = AT + timedelta(minutes=sequence)
    return Entry(
        id=str(sequence),
        action_id="buy",
        operation="grant",
        event_id="buy",
        source_id=str(sequence),
        void_id=None,
        challenge_group="_default",
        points=Decimal(points),
        earned_at=at,
        granted_at=at,
        occurred_at=at,
        created_at=at,
        sequence=sequence,
    )


def judged(value: int, since: datetime = AT) -> Judged:
    """A tier that was judged with some basis by the third input."""
    return Judged(AT + timedelta(hours=1), Decimal(value), 3, "UTC", since)


ENTRIES = [entry(1, 20), entry(2, 30), entry(3, 40), entry(4, 50)]


@pytest.mark.parametrize(
    ("value", "since", "expected"),
    [
        (90, AT, [1, 2, 3]),
        (50, AT, [1, 2]),  # time did it, before the input was folded
        (70, AT + timedelta(minutes=2), [2, 3]),
        (0, AT + timedelta(hours=1), []),
        (80, AT, None),
        (90, AT + timedelta(hours=1), None),
    ],
)
def test_a_tier_is_explained_by_entries_that_come_to_its_basis(
    value: int, since: datetime, expected: list[int] | None
) -> None:
    steps = retell(ENTRIES, rule(), judged(value, since))
    assert (steps if steps is None else [step.of.sequence for step in steps]) == expected

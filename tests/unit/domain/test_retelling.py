"""What led to something, told again: what is known to be lacking is said, not left out."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from processor.domain.retelling.streaks import Qualifying, last_reached
from processor.domain.retelling.tiers import Entry, Judged, earliest, retell
from processor.domain.rules import Streak, TierSet, Zone, compile_streak, compile_tier_set
from schemas.definition_set import DefinitionSet
from schemas.instants import parse_instant
from tests.event_spec import STREAK, streak_of
from tests.spec import NOW, PROJECT, millis
from tests.tier_spec import STATUS, YEAR, rolling, tier_set

AT = parse_instant(NOW)
EVER = parse_instant("2020-01-01T00:00:00Z")


def rule(**fields: Any) -> TierSet:
    """A set that goes by what is earned in a year."""
    defined = DefinitionSet()
    each = tier_set(0, 50, **{"window": YEAR, **fields})
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


@pytest.mark.parametrize("window", [YEAR, rolling("P1M"), rolling("P30D"), rolling("P1Y1M")])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize(
    "at", ["2026-12-31T23:30:00Z", "2026-03-31T11:30:00Z", "2028-02-29T00:30:00Z"]
)
def test_what_a_window_counts_is_not_left_unread(window: Any, zone: str, at: str) -> None:
    judged_at = parse_instant(at)
    found = earliest(rule(window=window), judged_at)
    assert found is not None
    days = [structs.replace(entry(1, 1), earned_at=found - timedelta(days=n)) for n in (0, 40, 400)]
    judged_by = Judged(judged_at, Decimal(1), 1, zone, EVER)
    for each in days:
        assert retell([each], rule(window=window), judged_by) is None
    now = structs.replace(entry(1, 1), earned_at=judged_at)
    assert retell([now], rule(window=window), judged_by) is not None


@pytest.mark.parametrize(
    "fields", [{"window": {"type": "lifetime"}}, {"basis": {"type": "balance"}}]
)
def test_what_counts_for_life_is_read_for_life(fields: Any) -> None:
    window = {"window": {"type": "lifetime"}} | fields
    assert earliest(rule(**window), AT) is None


def streak_rule(freezes: int) -> Streak:
    """A streak of days."""
    defined = DefinitionSet()
    each = streak_of(freezes=freezes)
    defined.apply(each.key, each.value, 0, millis(NOW))
    stored = defined.get(PROJECT, "streak", STREAK)
    assert stored is not None
    return compile_streak(stored, Zone("UTC", by_member=False))


def hit(day: int, sequence: int, voided_at: int | None = None, freezes: int = 0) -> Qualifying:
    """An event of a day in November."""
    at = parse_instant(f"2026-11-{day:02}T10:00:00Z")
    return Qualifying(
        id=str(sequence),
        occurred_at=at,
        created_at=at,
        sequence=sequence,
        version=0,
        rule=streak_rule(freezes),
        voided_at=voided_at,
    )


RUN = [hit(2, 1), hit(3, 2), hit(4, 3, voided_at=5), hit(5, 4)]
"""Three days were hit with the third event; a void took that."""


@pytest.mark.parametrize(
    ("events", "until", "expected"),
    [
        (RUN, 5, 3),
        ([*RUN, hit(4, 6)], 6, 6),
        ([*RUN, hit(4, 6)], 5, 3),
        ([*RUN, hit(4, 6), hit(6, 7)], 9, 6),
        ([*RUN, hit(4, 6, voided_at=7), hit(4, 8)], 8, 8),
        ([*RUN, hit(4, 6, voided_at=7), hit(4, 8)], 7, 6),
        ([*RUN[:2], hit(4, 3), hit(5, 4, voided_at=5), hit(5, 6)], 6, 3),
        ([*RUN[:2], hit(4, 3, voided_at=5), hit(4, 4), hit(4, 6)], 6, 3),
        ([*RUN[:3], hit(4, 4, voided_at=6), hit(4, 7)], 7, 7),
        ([*RUN, hit(1, 6), hit(6, 7, freezes=1)], 7, 7),
    ],
    ids=[
        *("taken", "again", "before", "longer", "twice", "taken again"),
        *("enough is left", "another stands", "both are taken", "bridged"),
    ],
)
def test_a_reward_that_was_given_again_is_for_the_hit_that_came_to_it_last(
    events: list[Qualifying], until: int, expected: int
) -> None:
    place = last_reached(events, "daily", "UTC", "2026-11-04", target=3, first=3, until=until)
    assert place == expected

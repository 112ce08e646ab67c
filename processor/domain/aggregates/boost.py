"""What multiplies the points of an event: the member's tiers, then boosts. Exact throughout.

There is no state: the event's own time decides which boosts run. The rules are those of
``schemas/README.md#boosts``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import msgspec
from msgspec import Raw

from processor.domain.aggregates.conditions import MemberFacts, holds
from processor.domain.rules import Boost
from schemas.amounts import MAX_POINTS

LIMIT = "limit"
"""What cuts points that no grant may have."""


class Multiplied(msgspec.Struct, frozen=True, gc=False):
    """What an event gives: its points without multipliers (``base``) and with them, the boosts in
    the order in which they acted, the member's tiers by their sets, and what the limit cut."""

    base: int
    points: int
    boosts: tuple[str, ...]
    tiers: Mapping[str, str]
    cut: int

    def tiers_json(self) -> Raw:
        """Return the tiers as they are published: null where there are none."""
        return Raw(msgspec.json.encode(dict(self.tiers) or None))


def applies(
    boost: Boost, at: datetime, metadata: Mapping[str, Any], member: MemberFacts | None
) -> bool:
    """Tell whether a boost acts on an event of that time; ``member`` is there where it asks."""
    return (
        boost.starts_at <= at
        and (boost.ends_at is None or at < boost.ends_at)
        and (boost.conditions is None or holds(boost.conditions, metadata, member))
    )


def decide(
    base: int, exact: Fraction, factors: Sequence[Fraction], boosts: Sequence[Boost]
) -> tuple[int, tuple[str, ...], int]:
    """Multiply points; return them, the boosts as they acted, and what was cut.

    Args:
        base: the points without multipliers.
        exact: the same before they were rounded.
        factors: the multipliers of the member's tiers.
        boosts: those that act, in the order of their ids.
    """
    if not factors and not boosts:
        return base, (), 0
    value = exact
    for factor in factors:
        value *= factor
    acted: list[str] = []
    for boost in boosts:
        if boost.stacking == "multiply":
            value += _bonus(boost, value)
            acted.append(boost.id)
    added = [boost for boost in boosts if boost.stacking == "add"]
    value += sum((_bonus(boost, value) for boost in added), Fraction(0))
    acted += [boost.id for boost in added]
    highest = [boost for boost in boosts if boost.stacking == "highest"]
    if highest:
        greatest = max(highest, key=lambda boost: (boost.multiplier, _bonus(boost, value)))
        value += _bonus(greatest, value)
        acted.append(greatest.id)
    points = max(_half_up(value), 0)
    return min(points, MAX_POINTS), tuple(acted), max(points - MAX_POINTS, 0)


def _bonus(boost: Boost, stood: Fraction) -> Fraction:
    """Return what a boost adds to what stood before it."""
    bonus = (boost.multiplier - 1) * stood
    return bonus if boost.max_bonus is None else min(bonus, boost.max_bonus)


def _half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)

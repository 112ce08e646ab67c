"""What multiplies the points of an event: the member's tiers, then boosts. Exact throughout.

There is no state: the event's own time decides which boosts run. The rules are those of
``schemas/README.md#boosts``.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from processor.domain.aggregates.conditions import MemberFacts
from processor.domain.aggregates.work import Work
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
    boost: Boost, metadata: Mapping[str, Any], member: MemberFacts | None, work: Work
) -> bool:
    """Tell whether a boost that runs acts on an event; ``member`` is there where it asks.

    Raises:
        Refused: with it, what looks at the event looks at too much.
    """
    if boost.conditions is None:
        return True
    work.begin(boost.cost)
    return boost.conditions(metadata, member, work)


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
    value = _Exact(exact.numerator, exact.denominator)
    for factor in factors:
        value = value.times(factor)
    multiplying = [boost for boost in boosts if boost.stacking == "multiply"]
    for boost in multiplying:
        value = _acted(value, boost)
    added = [boost for boost in boosts if boost.stacking == "add"]
    value = _added(value, added)
    greatest = _greatest([boost for boost in boosts if boost.stacking == "highest"], value)
    for boost in greatest:
        value = _acted(value, boost)
    points = max(value.half_up(), 0)
    acted = tuple(boost.id for boost in (*multiplying, *added, *greatest))
    return min(points, MAX_POINTS), acted, max(points - MAX_POINTS, 0)


class _Exact(NamedTuple):
    """An exact number that is never brought to lowest terms: with many boosts most of the time
    would go into that. The denominator is above 0."""

    numerator: int
    denominator: int

    def times(self, factor: Fraction) -> "_Exact":
        return _Exact(self.numerator * factor.numerator, self.denominator * factor.denominator)

    def plus(self, more: Fraction) -> "_Exact":
        if not more:
            return self
        sum_ = self.numerator * more.denominator + more.numerator * self.denominator
        return _Exact(sum_, self.denominator * more.denominator)

    def exceeds(self, bound: Fraction) -> bool:
        return self.numerator * bound.denominator > bound.numerator * self.denominator

    def half_up(self) -> int:
        return (2 * self.numerator + self.denominator) // (2 * self.denominator)


def _acted(stood: _Exact, boost: Boost) -> _Exact:
    """Return what stood before a boost with what that adds."""
    bonus = _bound(boost, stood)
    return stood.times(boost.multiplier) if bonus is None else stood.plus(bonus)


def _added(stood: _Exact, boosts: Sequence[Boost]) -> _Exact:
    """Return what stood before boosts with what each of them adds to that."""
    factor, more = Fraction(1), Fraction(0)
    for boost in boosts:
        bonus = _bound(boost, stood)
        if bonus is None:
            factor += boost.multiplier - 1
        else:
            more += bonus
    return stood.times(factor).plus(more)


def _bound(boost: Boost, stood: _Exact) -> Fraction | None:
    """Return what a boost adds that would add more than it may, None for any other."""
    most = boost.max_bonus
    return most if most is not None and stood.times(boost.multiplier - 1).exceeds(most) else None


def _greatest(boosts: Sequence[Boost], stood: _Exact) -> list[Boost]:
    """Return the boost with the greatest multiplier, of several the one that adds most; none where
    there are none."""
    if not boosts:
        return []
    multiplier = max(boost.multiplier for boost in boosts)
    equal = [boost for boost in boosts if boost.multiplier == multiplier]
    whole = [boost for boost in equal if _bound(boost, stood) is None]
    return whole[:1] or [max(equal, key=lambda boost: boost.max_bonus or 0)]

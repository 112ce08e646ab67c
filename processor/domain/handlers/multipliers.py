"""What a member's tiers, and the boosts that run, make of an event's points within a chunk."""

from collections.abc import Sequence
from datetime import datetime

from processor.domain.aggregates import boost as boost_of
from processor.domain.aggregates import event as event_of
from processor.domain.aggregates.boost import Multiplied
from processor.domain.aggregates.conditions import MemberFacts, Metadata
from processor.domain.aggregates.event import Decided
from processor.domain.aggregates.work import Work
from processor.domain.rules import Boosts, Event, TierSet


def multiplied(
    event: Event,
    decided: Decided,
    boosts: Boosts,
    tiers: Sequence[tuple[TierSet, str | None]],
    *,
    metadata: Metadata,
    at: datetime,
    member: MemberFacts,
    work: Work,
) -> Multiplied | None:
    """Return what an event gives with multipliers; None where none acts.

    Args:
        event: its definition.
        decided: what it was judged to be without multipliers.
        boosts: those that may act on it.
        tiers: the member's tier in each set that acts on it.
        metadata: the event's own.
        at: when it happened.
        member: what boosts may ask of its member.
        work: what its own conditions took, and they may take.

    Raises:
        Refused: together they look at too much.
    """
    running = boosts.running(at)
    acting = [each for each in running if boost_of.applies(each, metadata, member, work)]
    named = {tier_set.id: tier for tier_set, tier in tiers if tier is not None}
    if not acting and not named:
        return None
    factors = [
        factor
        for tier_set, tier in tiers
        if tier is not None and (factor := tier_set.multiplier_of(tier)) is not None
    ]
    exact = event_of.exact_points(event, metadata, decided.user_group)
    points, acted, cut = boost_of.decide(decided.points, exact, factors, acting)
    return Multiplied(decided.points, points, acted, named, cut)

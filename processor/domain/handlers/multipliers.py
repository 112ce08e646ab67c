"""What a member's tiers, and the boosts that run, make of an event's points within a chunk."""

from datetime import datetime

from processor.domain.aggregates import boost as boost_of
from processor.domain.aggregates import event as event_of
from processor.domain.aggregates.boost import Multiplied
from processor.domain.aggregates.conditions import MemberFacts, Metadata
from processor.domain.aggregates.event import Decided
from processor.domain.rules import Event, Subscriptions


def multiplied(
    event: Event,
    decided: Decided,
    subscriptions: Subscriptions,
    metadata: Metadata,
    *,
    at: datetime,
    member: MemberFacts,
) -> Multiplied | None:
    """Return what an event gives with multipliers; None where none acts.

    Args:
        event: its definition.
        decided: what it was judged to be without multipliers.
        subscriptions: the boosts that may act on it.
        metadata: the event's own.
        at: when it happened.
        member: what boosts may ask of its member.
    """
    boosts = [b for b in subscriptions.boosts if boost_of.applies(b, at, metadata, member)]
    if not boosts:
        return None
    exact = event_of.exact_points(event, metadata, decided.user_group)
    points, acted, cut = boost_of.decide(decided.points, exact, (), boosts)
    return Multiplied(decided.points, points, acted, {}, cut)

"""The rules that definitions compile to: what the fold needs of each, made once when it is read."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

import msgspec
from msgspec import Raw

from processor.domain.aggregates.conditions import Check, compile_condition, cost_of
from processor.domain.aggregates.work import FREE, Cost
from schemas import definitions as models
from schemas.amounts import format_amount, nanos_of
from schemas.definition_set import Stored
from schemas.durations import Duration, parse_duration
from schemas.outputs import NULL

DEFAULT_GROUP = "_default"
"""The challenge group of points that name none."""

_JSON = msgspec.json.Encoder(decimal_format="number")


class Zone(NamedTuple):
    """Where days begin: in a time zone, or ``by_member`` in the member's own, where it has one."""

    name: str
    by_member: bool


def zone_of(own: str | None, project: Zone) -> Zone:
    """Return the zone of a definition with ``timezone: own``, of a project with that zone."""
    if own is None:
        return project
    if own == models.MEMBER_ZONE:
        return Zone(project.name, by_member=True)
    return Zone(own, by_member=False)


@dataclass(frozen=True, slots=True)
class Milestone:
    """A threshold in nanos; ``json`` is its record, ready to be embedded."""

    id: str
    target: int
    live: bool
    json: Raw
    version: int
    points: int = 0


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as the fold needs it: amounts in nanos, its milestones by rising target.

    ``activity_ids`` has the events that feed it as well: what they log bears their name.
    ``timezone`` is that of members without one where it goes ``by_member``.
    """

    id: str
    live: bool
    method: str
    period: str
    target: int
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    activity_ids: frozenset[str] | None
    json: Raw
    version: int
    milestones: tuple[Milestone, ...] = ()
    value_field: str | None = None
    points: int = 0
    group: str = DEFAULT_GROUP
    by_member: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the fold needs it: ``rewards`` by user group and ``maximum`` in nanos.

    ``maximum_json`` is the maximum as it is shown, null where there is none. The periods of its
    limit go by the project's ``timezone``, or ``by_member``.
    """

    id: str
    title: str
    active: bool
    type: str
    rewards: Mapping[str, int]
    value_field: str | None
    limit: int | None
    limit_period: str
    maximum: int | None
    maximum_json: Raw
    conditions: Check | None
    asks_member: bool
    """Whether its conditions name something of the member."""
    fields: tuple[models.MetadataField, ...]
    requires_api_key: bool
    group: str
    version: int
    timezone: str
    by_member: bool


@dataclass(frozen=True, slots=True)
class Streak:
    """A streak as the fold needs it, its milestones by rising target.

    ``timezone`` is that of members without one where it goes ``by_member``.
    """

    id: str
    period: str
    target: int
    timezone: str
    freezes: int
    version: int
    milestones: tuple[Milestone, ...] = ()
    by_member: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity of a pathway: amounts in nanos; ``formula`` None where it measures nothing."""

    id: str
    name: str
    type: str
    fulfilment: str
    required: bool
    pass_score: int
    category: str
    formula: str | None
    target: int


@dataclass(frozen=True, slots=True)
class Pathway:
    """A pathway as the fold needs it, its milestones by rising target."""

    id: str
    activities: Mapping[str, Activity]
    version: int
    milestones: tuple[Milestone, ...] = ()


@dataclass(frozen=True, slots=True)
class Boost:
    """A boost as the fold needs it, exact; ``asks_member`` tells whether its conditions do, and
    ``cost`` what they take."""

    id: str
    multiplier: Fraction
    starts_at: datetime
    ends_at: datetime | None
    event_ids: frozenset[str] | None
    wallets: frozenset[str] | None
    conditions: Check | None
    asks_member: bool
    stacking: str
    max_bonus: Fraction | None
    live: bool
    cost: Cost = FREE

    def runs(self, at: datetime) -> bool:
        """Tell whether it holds for events of a moment."""
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def is_for(self, event: Event) -> bool:
        """Tell whether it may act on points of an event."""
        return (
            self.live
            and (self.event_ids is None or event.id in self.event_ids)
            and (self.wallets is None or event.group in self.wallets)
        )


class Boosts:
    """The boosts that may act on an event's points, in the order of their ids, and which of them
    run at a moment: that is looked up, however many there are that are over or to come."""

    _MOST_KEPT = 16
    """Stretches of time whose boosts are kept: events lie close together but for late ones."""

    def __init__(self, boosts: Iterable[Boost] = ()) -> None:
        self._boosts = tuple(boosts)
        moments = {moment for each in self._boosts for moment in (each.starts_at, each.ends_at)}
        self._turns = sorted(moment for moment in moments if moment is not None)
        """Between two of these the same ones run."""
        self._running: dict[int, tuple[Boost, ...]] = {}

    def __len__(self) -> int:
        return len(self._boosts)

    def running(self, at: datetime) -> tuple[Boost, ...]:
        """Return those that run at a moment."""
        stretch = bisect_right(self._turns, at)
        found = self._running.get(stretch)
        if found is None:
            if len(self._running) == self._MOST_KEPT:
                self._running.clear()
            found = tuple(each for each in self._boosts if each.runs(at))
            self._running[stretch] = found
        return found


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet as the fold needs it: ``cap`` a period and ``maximum`` in points, ``dates`` as
    (month, day), rising.

    ``timezone`` is that of members without one where it goes ``by_member``.
    """

    group: str
    expiry: str
    after: Duration | None
    dates: tuple[tuple[int, int], ...]
    pending: Duration | None
    maximum: int | None
    cap: int | None
    cap_period: str
    notices: tuple[int, ...]
    timezone: str
    version: int
    by_member: bool = False

    @property
    def caps(self) -> bool:
        """Whether it may cut a grant."""
        return self.cap is not None or self.maximum is not None


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of a set: its threshold in nanos, what it multiplies points by."""

    id: str
    threshold: int
    multiplier: Fraction | None


@dataclass(frozen=True, slots=True)
class TierSet:
    """A tier set as the fold needs it, its tiers by rising threshold.

    ``wallet`` is the group that the basis is of, None for all; ``wallets`` those whose points the
    multipliers act on, None for all. ``timezone`` is the project's, that of members without one
    where it goes ``by_member``.
    """

    id: str
    basis: str
    wallet: str | None
    challenge_id: str
    window: str
    length: Duration | None
    tiers: tuple[Tier, ...]
    downgrade: str
    grace: Duration | None
    wallets: frozenset[str] | None
    timezone: str
    by_member: bool
    version: int

    @property
    def for_life(self) -> bool:
        """Whether it goes by all that was ever earned."""
        return self.basis == "earned" and self.window == "lifetime"

    @property
    def base(self) -> str | None:
        """The tier that needs nothing, None where there is none."""
        return self.tier_at(self.rank_of(0))

    def rank(self, tier_id: str | None) -> int:
        """Return a tier's place, from 0; -1 where the set has no such one."""
        return next((n for n, tier in enumerate(self.tiers) if tier.id == tier_id), -1)

    def rank_of(self, value: int) -> int:
        """Return the place of the tier that a value (nanos) suffices for; -1 for none."""
        return sum(tier.threshold <= value for tier in self.tiers) - 1

    def tier_at(self, rank: int) -> str | None:
        """Return the tier at a place, None for -1."""
        return None if rank < 0 else self.tiers[rank].id

    def multiplier_of(self, tier_id: str) -> Fraction | None:
        """Return what a tier multiplies points by, None where it does not."""
        return next((tier.multiplier for tier in self.tiers if tier.id == tier_id), None)

    def acts_on(self, group: str) -> bool:
        """Tell whether its multipliers act on points of a group."""
        return self.wallets is None or group in self.wallets


NO_BOOSTS = Boosts()


class Subscriptions(NamedTuple):
    """What an event moves: the challenges and streaks that name it; and what may multiply its
    points: boosts and tier sets."""

    challenges: tuple[Challenge, ...]
    streaks: tuple[Streak, ...]
    boosts: Boosts = NO_BOOSTS
    tier_sets: tuple[TierSet, ...] = ()


def compile_challenge(stored: Stored, project: Zone) -> Challenge:
    """Compile a challenge; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.Challenge)
    ids = definition.activity_ids
    zone = zone_of(definition.timezone, project)
    return Challenge(
        id=definition.id,
        live=definition.status == "live",
        method=definition.aggregation_method,
        period=definition.aggregation_period,
        target=nanos_of(definition.completion_target_value),
        timezone=zone.name,
        starts_at=definition.starts_at,
        ends_at=definition.ends_at,
        activity_ids=None if ids is None else frozenset(ids).union(definition.event_ids or ()),
        json=Raw(_JSON.encode(stored.record())),
        version=stored.version,
        value_field=definition.value_field,
        points=definition.points_on_completion or 0,
        group=definition.challenge_group,
        by_member=zone.by_member,
    )


def compile_event(stored: Stored, project: Zone) -> Event:
    """Compile an event; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.Event)
    maximum = definition.maximum_reward
    return Event(
        id=definition.id,
        title=definition.title,
        active=definition.status == "ACTIVE",
        type=definition.type,
        rewards={group: nanos_of(reward) for group, reward in definition.reward.items()},
        value_field=definition.reward_value_field,
        limit=definition.limit,
        limit_period="all_time"
        if definition.limit_period == "unlimited"
        else definition.limit_period,
        maximum=None if maximum is None else nanos_of(maximum),
        maximum_json=NULL if maximum is None else Raw(format_amount(nanos_of(maximum)).encode()),
        conditions=_check(definition.conditions),
        asks_member=definition.conditions is not None and definition.conditions.asks_member(),
        fields=tuple(definition.metadata_fields or ()),
        requires_api_key=definition.requires_api_key,
        group=definition.challenge_group,
        version=stored.version,
        timezone=project.name,
        by_member=project.by_member,
    )


def _check(condition: models.Condition | None) -> Check | None:
    return None if condition is None else compile_condition(condition)


def compile_streak(stored: Stored, project: Zone) -> Streak:
    """Compile a streak; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.Streak)
    zone = zone_of(definition.timezone, project)
    return Streak(
        id=definition.id,
        period=definition.period,
        target=definition.target_length,
        timezone=zone.name,
        freezes=definition.freezes,
        version=stored.version,
        by_member=zone.by_member,
    )


def compile_pathway(stored: Stored, _project: Zone) -> Pathway:
    """Compile a pathway; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.Pathway)
    return Pathway(
        id=definition.id,
        activities={activity.id: _activity(activity) for activity in definition.activities},
        version=stored.version,
    )


def _activity(activity: models.PathwayActivity) -> Activity:
    data = activity.data
    return Activity(
        id=activity.id,
        name=activity.name,
        type=activity.type,
        fulfilment=activity.fulfilment_type,
        required=activity.required,
        pass_score=nanos_of(activity.pass_score),
        category="" if data is None else data.category,
        formula=None if data is None else data.formula,
        target=0 if data is None else nanos_of(data.target),
    )


def compile_boost(stored: Stored, _project: Zone) -> Boost:
    """Compile a boost."""
    definition = stored.definition
    assert isinstance(definition, models.Boost)
    events, wallets, bonus = definition.event_ids, definition.wallets, definition.max_bonus
    conditions = definition.conditions
    return Boost(
        id=definition.id,
        multiplier=Fraction(definition.multiplier),
        starts_at=definition.starts_at,
        ends_at=definition.ends_at,
        event_ids=None if events is None else frozenset(events),
        wallets=None if wallets is None else frozenset(wallets),
        conditions=_check(conditions),
        asks_member=conditions is not None and conditions.asks_member(),
        stacking=definition.stacking,
        max_bonus=None if bonus is None else Fraction(bonus),
        live=definition.status == "live",
        cost=FREE if conditions is None else cost_of(conditions),
    )


def compile_wallet(stored: Stored, project: Zone) -> Wallet:
    """Compile a wallet; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.Wallet)
    expiry, cap = definition.expiry, definition.earn_cap
    zone = zone_of(definition.timezone, project)
    return Wallet(
        group=definition.id,
        expiry=expiry.type,
        after=None if expiry.after is None else parse_duration(expiry.after),
        dates=tuple(sorted((int(day[:2]), int(day[3:])) for day in expiry.dates or ())),
        pending=None if definition.pending_for is None else parse_duration(definition.pending_for),
        maximum=definition.max_balance,
        cap=None if cap is None else cap.points,
        cap_period="all_time" if cap is None else cap.period,
        notices=tuple(definition.notice_days),
        timezone=zone.name,
        version=stored.version,
        by_member=zone.by_member,
    )


def compile_tier_set(stored: Stored, project: Zone) -> TierSet:
    """Compile a tier set; the time zone is its project's."""
    definition = stored.definition
    assert isinstance(definition, models.TierSet)
    basis, window = definition.basis, definition.window or models.TierWindow()
    without_end = basis.type != "progress" and window.type == "lifetime"
    wallets = definition.wallets
    if wallets is None and basis.wallet is not None:
        wallets = [basis.wallet]
    return TierSet(
        id=definition.id,
        basis=basis.type,
        wallet=basis.wallet,
        challenge_id=basis.challenge_id or "",
        window=window.type,
        length=None if window.length is None else parse_duration(window.length),
        tiers=tuple(_tier(tier) for tier in definition.tiers),
        downgrade=definition.downgrade or ("none" if without_end else "to_basis"),
        grace=None if definition.grace is None else parse_duration(definition.grace),
        wallets=None if wallets is None else frozenset(wallets),
        timezone=project.name,
        by_member=project.by_member,
        version=stored.version,
    )


def _tier(tier: models.Tier) -> Tier:
    factor = tier.multiplier
    return Tier(tier.id, nanos_of(tier.threshold), None if factor is None else Fraction(factor))


def compile_milestone(stored: Stored) -> Milestone:
    """Compile a milestone."""
    definition = stored.definition
    assert isinstance(definition, models.Milestone)
    return Milestone(
        id=definition.id,
        target=nanos_of(definition.milestone_target_value),
        live=definition.status == "live",
        json=Raw(_JSON.encode(stored.record())),
        version=stored.version,
        points=definition.points or 0,
    )

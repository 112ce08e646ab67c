"""What a trace says of the rules that handlers look at, in terms of what the aggregates decided.

It is called only where a record's sender asked for a trace.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from processor.domain.aggregates.challenge import Decided as Counted
from processor.domain.aggregates.challenge import Progress
from processor.domain.aggregates.conditions import MemberFacts, Metadata, compared
from processor.domain.aggregates.event import Decided, LimitUsage
from processor.domain.aggregates.wallet import Offer
from processor.domain.aggregates.work import Work
from processor.domain.definitions import Definitions
from processor.domain.rules import Boost, Challenge, Event, Milestone, Streak, TierSet, Wallet
from processor.domain.trace import Trace, amount, whole
from schemas import definitions as models
from schemas.dry_runs import Outcome, TraceComparison

NO_TIER: Final = "no_tier"
NO_MULTIPLIER: Final = "no_multiplier"
CONDITIONS_NOT_MET: Final = "conditions_not_met"
NOT_HIGHEST: Final = "not_highest"
MAXIMUM_REWARD: Final = "maximumReward"


class Comparisons:
    """The comparisons of definitions with one event's metadata and its member."""

    def __init__(
        self,
        definitions: Definitions,
        project: str,
        metadata: Metadata,
        member: MemberFacts | None,
        work: Work,
    ) -> None:
        self._definitions = definitions
        self._project = project
        self._metadata = metadata
        self._member = member
        self._work = work

    def version_of(self, boost: Boost) -> int:
        """Return the version of a boost's definition."""
        stored = self._definitions.get(self._project, models.Boost.kind, boost.id)
        assert stored is not None
        return stored.version

    def of(self, kind: str, id_: str) -> Sequence[TraceComparison]:
        """Return those of an event or a boost; none where it has no conditions."""
        stored = self._definitions.get(self._project, kind, id_)
        assert stored is not None
        assert isinstance(stored.definition, models.Event | models.Boost)
        conditions = stored.definition.conditions
        if conditions is None:
            return ()
        return compared(conditions, self._metadata, self._member, self._work)


def at_event(
    trace: Trace,
    event: Event,
    decided: Decided,
    used: LimitUsage,
    comparisons: Comparisons,
    *,
    earns: bool,
) -> None:
    """Tell what an event's conditions and its limit came to; one that ``earns`` nothing takes no
    slot of the limit."""
    met: Outcome = "met" if decided.condition_reached else "not_met"
    conditions = comparisons.of(models.Event.kind, event.id)
    trace.add("event", event.id, event.version, met, conditions=conditions)
    if event.limit is not None:
        within: Outcome = "reached" if decided.limit_reached else "within"
        slots = used.slots + (earns and decided.takes_slot)
        trace.add(
            "limit", event.id, event.version, within, before=whole(used.slots), after=whole(slots)
        )


def at_maximum(trace: Trace, event: Event, before: int, after: int) -> None:
    """Tell what an event's maximum leaves of its points."""
    cut: Outcome = "not_cut" if before == after else "cut"
    why = None if before == after else MAXIMUM_REWARD
    shown = whole(before), whole(after)
    trace.add("cap", event.id, event.version, cut, why=why, before=shown[0], after=shown[1])


def at_tiers(trace: Trace, tiers: Sequence[tuple[TierSet, str | None]]) -> None:
    """Tell which of a member's tiers multiply."""
    for tier_set, tier in tiers:
        why = None
        if tier is None:
            why = NO_TIER
        elif tier_set.multiplier_of(tier) is None:
            why = NO_MULTIPLIER
        applied: Outcome = "applied" if why is None else "not_applied"
        trace.add("tier", tier_set.id, tier_set.version, applied, why=why)


def at_boosts(
    trace: Trace,
    running: Sequence[Boost],
    applying: Collection[str],
    acted: Collection[str],
    comparisons: Comparisons,
) -> None:
    """Tell which of the boosts that run multiply: those ``applying`` meet their conditions, and
    ``acted`` are those of them that are not behind a higher one."""
    for boost in running:
        why = None
        if boost.id not in applying:
            why = CONDITIONS_NOT_MET
        elif boost.id not in acted:
            why = NOT_HIGHEST
        applied: Outcome = "applied" if why is None else "not_applied"
        version, conditions = comparisons.version_of(boost), comparisons.of("boost", boost.id)
        trace.add("boost", boost.id, version, applied, why=why, conditions=conditions)


def at_caps(trace: Trace, wallet: Wallet, points: int, offer: Offer) -> None:
    """Tell what a wallet leaves of points that are earned."""
    cut: Outcome = "cut" if offer.cut else "not_cut"
    before, after = whole(points), whole(offer.points)
    trace.add(
        "cap", wallet.group, wallet.version, cut, why=offer.cut_by, before=before, after=after
    )


def at_counted(
    trace: Trace,
    challenge: Challenge,
    before: Progress | None,
    after: Progress | None,
    counted: Counted,
) -> None:
    """Tell that a challenge counted a log, and which of its milestones that reached."""
    assert after is not None
    shown = amount(0 if before is None else before.shown), amount(after.shown)
    id_, version = challenge.id, challenge.version
    trace.add("challenge", id_, version, "counted", before=shown[0], after=shown[1])
    given = () if before is None else before.reached
    now = {milestone.id for milestone in counted.reached}
    at_milestones(trace, challenge.milestones, after.total, now, given)


def at_uncounted(trace: Trace, challenge: Challenge, why: str) -> None:
    """Tell why a challenge did not count a log."""
    trace.add("challenge", challenge.id, challenge.version, "not_counted", why=why)


def at_all_uncounted(trace: Trace, challenges: Iterable[Challenge], why: str) -> None:
    """Tell the same of several challenges."""
    for challenge in challenges:
        at_uncounted(trace, challenge, why)


def at_milestones(
    trace: Trace,
    milestones: Sequence[Milestone],
    value: int,
    now: Collection[str],
    given: Collection[str],
) -> None:
    """Tell which milestones a value (nanos) reaches ``now``, and which were ``given`` before."""
    for milestone in milestones:
        outcome: Outcome
        if not milestone.live:
            outcome = "not_live"
        elif milestone.id in now:
            outcome = "reached"
        elif milestone.id in given or milestone.target <= value:
            outcome = "reached_before"
        else:
            outcome = "not_reached"
        trace.add("milestone", milestone.id, milestone.version, outcome)


def at_streak(trace: Trace, streak: Streak, outcome: Outcome, before: int, after: int) -> None:
    """Tell what an event did to a streak: its current length before and after."""
    lengths = whole(before), whole(after)
    trace.add("streak", streak.id, streak.version, outcome, before=lengths[0], after=lengths[1])

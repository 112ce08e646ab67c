"""What tiers are judged by, as it is within a chunk and as it was before the record."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import points as points_of
from processor.domain.aggregates import tier as tier_of
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.period import period_end, period_key
from processor.domain.aggregates.points import Unearned
from processor.domain.aggregates.tier import Basis, State
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.rules import TierSet
from processor.domain.state_kinds import (
    BALANCES,
    MEMBER,
    PROGRESS,
    UNEARNED,
    StateKind,
    balances_key,
    kind_of,
    member_key,
    progress_key,
    unearned_key,
)
from processor.domain.working_set import WorkingSet
from schemas.amounts import SCALE

Get = Callable[[StateKind[Any], bytes], Any]
"""Returns the entry of a kind with a key, as it is or was."""

_MOVING = frozenset({BALANCES.prefix, PROGRESS.prefix})
_NEVER = tier_of.initial()


class Bases:
    """What the tiers of one chunk's members are judged by."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries

    def current(
        self, context: RecordContext, tier_set: TierSet, state: State, zone: str, at: datetime
    ) -> Basis:
        """Return what a tier is judged by at a moment."""
        return self._basis(self._entries.get, context, tier_set, state, zone=zone, at=at)

    def at_begin(
        self, context: RecordContext, tier_set: TierSet, state: State, zone: str, at: datetime
    ) -> Basis:
        """Return the same without the record that is being folded: that came after the moment."""
        return self._basis(self._entries.at_begin, context, tier_set, state, zone=zone, at=at)

    def ever_earned(self, context: RecordContext, tier_set: TierSet) -> int:
        """Return what was ever earned of what counts for a set, before the record."""
        at_begin, member_id = self._entries.at_begin, context.member_id
        balances = at_begin(BALANCES, balances_key(member_id)) or points_of.initial()
        unearned = at_begin(UNEARNED, unearned_key(member_id)) or Unearned()
        return points_of.ever_earned(balances, unearned, tier_set.wallet)

    def are_touched(self) -> bool:
        """Tell whether the record may have moved what is not earned."""
        return any(kind_of(key) in _MOVING for key in self._entries.touched())

    def are_moved(self, context: RecordContext, member: Member, tier_set: TierSet) -> bool:
        """Tell whether the record moved what a set judges by."""
        if tier_set.basis == tier_of.EARNED:
            return any(tier_of.counts(tier_set, earning) for earning in self._entries.earned)
        zone, now = member_of.zone(tier_set, member.timezone), context.present
        before = self.at_begin(context, tier_set, _NEVER, zone, now)
        return self.current(context, tier_set, _NEVER, zone, now) != before

    def _basis(
        self,
        get: Get,
        context: RecordContext,
        tier_set: TierSet,
        state: State,
        *,
        zone: str,
        at: datetime,
    ) -> Basis:
        if tier_set.basis == tier_of.EARNED:
            return tier_of.earned(state, tier_set, zone, at)
        if tier_set.basis == tier_of.PROGRESS:
            return self._progress(get, context, tier_set, state, at)
        held = get(BALANCES, balances_key(context.member_id)) or points_of.initial()
        points = held.total if tier_set.wallet is None else held.purse(tier_set.wallet).balance
        return Basis(points * SCALE, str(points), None)

    def _progress(
        self, get: Get, context: RecordContext, tier_set: TierSet, state: State, at: datetime
    ) -> Basis:
        challenge = self._definitions.challenge(context.project, tier_set.challenge_id)
        member = self._entries.get(MEMBER, member_key(context.member_id))
        if challenge is None or member is None:
            return Basis(0, "", None)
        zone = member_of.zone(challenge, member.timezone)
        period = period_key(challenge.period, zone, at)
        progress = get(PROGRESS, progress_key(context.member_id, challenge.id, period))
        shown = 0 if progress is None else progress.shown
        ends = progress is not None or tier_of.falls_on(state)
        end = period_end(challenge.period, zone, period) if ends else None
        return Basis(shown, f"{period} {shown}", end)

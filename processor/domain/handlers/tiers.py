"""Tiers in a chunk: judged when their basis moves, when time may change them, and by hand."""

from datetime import datetime
from functools import partial

from msgspec import UNSET, Raw, structs

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import tier as tier_of
from processor.domain.aggregates.conditions import MemberFacts
from processor.domain.aggregates.event import Answered
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.tier import State
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.members import differs, precondition_failed, require_member
from processor.domain.handlers.tier_bases import Bases
from processor.domain.inputs import Read, Refused
from processor.domain.rules import TierSet
from processor.domain.state_kinds import (
    ASSIGNMENT,
    MEMBER,
    TIER,
    assignment_key,
    member_key,
    tier_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.event_types import TIER_CHANGED
from schemas.records import AssignTier


class Tiers:
    """The tiers of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet, effects: Effects) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._bases = Bases(definitions, entries)

    def keys(self, item: Read, command: AssignTier) -> tuple[bytes, ...]:
        """Name the entries to prefetch for a command, besides the member's."""
        answered = ids.assignment_id(item.project, item.member_id, command.unique_identifier)
        return tier_key(item.member_id, command.tier_set_id), assignment_key(answered)

    def facts(self, context: RecordContext, member: Member) -> MemberFacts:
        """Return what conditions may ask of a member."""

        def tier_in(tier_set_id: str) -> str | None:
            tier_set = self._definitions.tier_set(context.project, tier_set_id)
            return None if tier_set is None else self.in_force(context, member, tier_set)

        return MemberFacts(member, tier_in)

    def facts_as_kept(self, context: RecordContext, member: Member) -> MemberFacts:
        """Return the same, but publish and keep nothing: what time did to a tier that nobody asked
        for yet is not in it."""

        def tier_in(tier_set_id: str) -> str | None:
            tier_set = self._definitions.tier_set(context.project, tier_set_id)
            if tier_set is None:
                return None
            kept = self._entries.get(TIER, tier_key(context.member_id, tier_set.id))
            return tier_set.base if kept is None else tier_of.in_force(kept, tier_set)

        return MemberFacts(member, tier_in)

    def in_force(self, context: RecordContext, member: Member, tier_set: TierSet) -> str | None:
        """Publish and keep what time did to a member's tier in a set; return the tier."""
        key = tier_key(context.member_id, tier_set.id)
        before = self._entries.get(TIER, key)
        if before is None:
            return tier_set.base
        zone = member_of.zone(tier_set, member.timezone)
        after = self._pass_time(context, member, tier_set, before, zone)
        if after is not before:
            self._keep(context, tier_set, key, before, after, zone=zone)
        return tier_of.in_force(after, tier_set)

    def judge(self, context: RecordContext, why: str = tier_of.BY_RECORD) -> None:
        """Judge the member by what the record, or the due, that is being folded has moved."""
        tier_sets = self._definitions.tier_sets(context.project)
        if not tier_sets:
            return
        earned = self._entries.earned
        if not earned and not self._bases.are_touched():
            return
        member = self._entries.get(MEMBER, member_key(context.member_id))
        if member is None:
            return
        for tier_set in tier_sets:
            if self._bases.are_moved(context, member, tier_set):
                self._judge(context, member, tier_set, why)
            elif earned:
                self._look_again(context, member, tier_set)

    def fall_due(
        self,
        context: RecordContext,
        user_id: str,  # noqa: ARG002
        key: bytes,
        rest: bytes,
    ) -> datetime | None:
        """Look at a tier that time may have changed; where its set is gone, return since when."""
        tier_set = self._definitions.tier_set(context.project, rest.decode())
        member = self._entries.get(MEMBER, member_key(context.member_id))
        before = self._entries.get(TIER, key)
        if member is None or before is None:
            return None
        if tier_set is None:
            return before.due
        self._look(context, member, tier_set, before)
        return None

    def assign(self, context: RecordContext, command: AssignTier) -> Answer:
        """Assign a tier, or end that; return what answers the command.

        Raises:
            Refused: nothing was changed.
        """
        member = require_member(self._entries, context)
        answer_key = assignment_key(
            ids.assignment_id(context.project, context.member_id, command.unique_identifier)
        )
        answered = self._entries.get(ASSIGNMENT, answer_key)
        if answered is not None:
            context.repeat()
            return partial(replies.Reply, 200, answered.body)
        if differs(command.if_version, member.version):
            return precondition_failed
        tier_set = self._definitions.tier_set(context.project, command.tier_set_id)
        if tier_set is None:
            raise Refused(Reason.UNKNOWN_TIER_SET, "no such tier set", "tierSetId")
        if command.tier_id is not None and tier_set.rank(command.tier_id) < 0:
            raise Refused(Reason.UNKNOWN_TIER, "no such tier in the set", "tierId")
        if command.until is not None and command.until <= context.present:
            raise Refused(Reason.INVALID, "must be after the record's timestamp", "until")
        after = self._assigned(context, member, tier_set, command)
        body = Raw(outputs.encode(_answer(member, command, tier_set, after)))
        self._entries.set(ASSIGNMENT, answer_key, Answered(body))
        return partial(replies.Reply, 200, body)

    def _assigned(
        self, context: RecordContext, member: Member, tier_set: TierSet, command: AssignTier
    ) -> State:
        key = tier_key(context.member_id, tier_set.id)
        stored = self._entries.get(TIER, key)
        zone = member_of.zone(tier_set, member.timezone)
        before = stored or self._first(context, tier_set)
        before = self._pass_time(context, member, tier_set, before, zone)
        before = self._under_new_rules(context, member, tier_set, before, zone)
        now = _now(context, before)
        basis = self._bases.current(context, tier_set, before, zone, now)
        if command.tier_id is None:
            after = before
            if before.assigned is not None:
                after = tier_of.ended(before, tier_set, basis, zone, now)
        else:
            assigned = tier_of.assigned(before, command.tier_id, command.until)
            after = tier_of.judged(assigned, tier_set, basis, zone, now)
        after = self._told(
            context, member, tier_set, before, after,
            why=tier_of.BY_HAND, at=now, value=basis.value, reason=command.reason,
        )  # fmt: skip
        return self._keep(context, tier_set, key, stored, after, zone=zone)

    def _look_again(self, context: RecordContext, member: Member, tier_set: TierSet) -> None:
        """Judge a tier whose set has changed since, though its basis has not moved."""
        before = self._entries.get(TIER, tier_key(context.member_id, tier_set.id))
        if before is not None and before.version != tier_set.version:
            self._look(context, member, tier_set, before)

    def _look(
        self, context: RecordContext, member: Member, tier_set: TierSet, before: State
    ) -> None:
        """Judge by time, and by what the set says now."""
        zone = member_of.zone(tier_set, member.timezone)
        after = self._pass_time(context, member, tier_set, before, zone)
        after = self._under_new_rules(context, member, tier_set, after, zone)
        key = tier_key(context.member_id, tier_set.id)
        self._keep(context, tier_set, key, before, after, zone=zone)

    def _judge(self, context: RecordContext, member: Member, tier_set: TierSet, why: str) -> None:
        key = tier_key(context.member_id, tier_set.id)
        stored = self._entries.get(TIER, key)
        zone = member_of.zone(tier_set, member.timezone)
        state = stored or self._first(context, tier_set)
        state = self._pass_time(context, member, tier_set, state, zone)
        state = self._under_new_rules(context, member, tier_set, state, zone)
        now = _now(context, state)
        for earning in self._entries.earned:
            if tier_of.counts(tier_set, earning):
                state = tier_of.earn(state, tier_set, earning, zone, now)
        basis = self._bases.current(context, tier_set, state, zone, now)
        after = tier_of.judged(state, tier_set, basis, zone, now)
        after = self._told(
            context, member, tier_set, state, after, why=why, at=now, value=basis.value
        )
        self._keep(context, tier_set, key, stored, after, zone=zone)

    def _under_new_rules(
        self,
        context: RecordContext,
        member: Member,
        tier_set: TierSet,
        before: State,
        zone: str,
    ) -> State:
        """Judge a tier whose set has changed since, and publish what that changed; return the
        state."""
        if before.version in (-1, tier_set.version):
            return before
        if tier_set.for_life:
            before = structs.replace(before, total=self._bases.ever_earned(context, tier_set))
        now = _now(context, before)
        basis = self._bases.at_begin(context, tier_set, before, zone, now)
        after = tier_of.judged(before, tier_set, basis, zone, now)
        why = tier_of.BY_DEFINITION
        return self._told(
            context, member, tier_set, before, after, why=why, at=now, value=basis.value
        )

    def _pass_time(
        self, context: RecordContext, member: Member, tier_set: TierSet, state: State, zone: str
    ) -> State:
        """Go through the moments that have passed, in their order, and publish what they changed;
        return the state as it is after them."""
        while state.judged_at is not None:
            basis = self._bases.at_begin(context, tier_set, state, zone, state.judged_at)
            at = tier_of.next_moment(state, basis)
            if at is None or not state.judged_at < at <= context.present:
                break
            basis = self._bases.at_begin(context, tier_set, state, zone, at)
            after = tier_of.judged(state, tier_set, basis, zone, at)
            is_over = state.assigned is not None and after.assigned is None
            why = tier_of.BY_HAND if is_over else tier_of.BY_TIME
            state = self._told(
                context, member, tier_set, state, after, why=why, at=at, value=basis.value
            )
        return state

    def _first(self, context: RecordContext, tier_set: TierSet) -> State:
        """Return the state of a member that was never judged."""
        earned = self._bases.ever_earned(context, tier_set) if tier_set.for_life else 0
        return tier_of.initial(earned)

    def _told(
        self,
        context: RecordContext,
        member: Member,
        tier_set: TierSet,
        before: State,
        after: State,
        *,
        why: str,
        at: datetime,
        value: int,
        reason: str | None = None,
    ) -> State:
        """Publish a change, where there is one; return the state with it counted."""
        if not tier_of.decide(before, after):
            return after
        after = tier_of.announced(after)
        data = outputs.TierChanged(
            id=ids.tier_id(context.project, context.member_id, tier_set.id),
            user_id=member.external_id,
            owned_by_id=context.member_id,
            tier_set_id=tier_set.id,
            from_=before.tier,
            to=after.tier,
            reason=why,
            since=after.since or at,
            until=UNSET if after.until is None else after.until,
            assigned=after.assigned is not None,
            assigned_because=UNSET if reason is None else reason,
            value=Raw(format_amount(value).encode()),
            version=after.changes,
            occurred_at=at,
            created_at=context.recorded_at,
            definition_version=tier_set.version,
        )
        context.emit(TIER_CHANGED, data, at=at, version=after.changes)
        return after

    def _keep(
        self,
        context: RecordContext,
        tier_set: TierSet,
        key: bytes,
        before: State | None,
        after: State,
        *,
        zone: str,
    ) -> State:
        """Keep a state, and have a tick look at it when time may change it next; return the state
        with that moment."""
        basis = self._bases.current(context, tier_set, after, zone, _now(context, after))
        after = tier_of.waiting(after, tier_of.next_moment(after, basis))
        self._entries.set(TIER, key, after)
        if before is not None and before.due is not None and before.due != after.due:
            self._entries.drop_due(before.due, key)
        if after.due is not None:
            self._entries.add_due(after.due, key)
        return after


def _now(context: RecordContext, state: State) -> datetime:
    """Return the moment at which a state is judged: time does not go back for it."""
    at = state.judged_at
    return context.present if at is None else max(at, context.present)


def _answer(
    member: Member, command: AssignTier, tier_set: TierSet, state: State
) -> outputs.TierAnswer:
    return outputs.TierAnswer(
        user_id=member.external_id,
        unique_identifier=command.unique_identifier,
        tier_set_id=tier_set.id,
        tier_id=tier_of.in_force(state, tier_set),
        since=state.since if state.changes else None,
        until=state.until,
        assigned=state.assigned is not None,
    )

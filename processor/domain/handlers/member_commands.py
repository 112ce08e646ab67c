"""Member commands: upsert, status, delete, forget, rewards fulfilled, points redeemed."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import UNSET, Raw

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import points as points_of
from processor.domain.aggregates import reward as reward_of
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.points import Entry, Redeemed
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.handlers.corrections import Corrections
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.ledger import Ledger
from processor.domain.handlers.members import (
    differs,
    forget,
    precondition_failed,
    require_member,
    store_member,
)
from processor.domain.handlers.pathways import Pathways
from processor.domain.handlers.spending import Spending
from processor.domain.handlers.tiers import Tiers
from processor.domain.handlers.voids import Voids
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.rules import DEFAULT_GROUP
from processor.domain.state_kinds import (
    MEMBER,
    REDEMPTION,
    REWARD,
    activity_key,
    balances_key,
    enrolment_key,
    member_key,
    redemption_key,
    reward_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.dead_letter import Reason
from schemas.event_types import REWARD_UPDATED
from schemas.ids import is_uuid
from schemas.records import (
    AdjustPoints,
    AssignTier,
    CaptureHold,
    CorrectProgress,
    DeleteMember,
    Enrol,
    ForgetMember,
    HoldPoints,
    MemberCommand,
    PathwayCommand,
    PointsCommand,
    RedeemPoints,
    ReleaseHold,
    ReviewActivity,
    SpendPoints,
    Unenrol,
    UpdateMemberStatus,
    UpdateRewardLog,
    UpsertMember,
    Void,
)


class MemberCommands:
    """Steps through the member commands of one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        *,
        pathways: Pathways,
        spending: Spending,
        tiers: Tiers,
        voids: Voids,
        corrections: Corrections,
    ) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._ledger = Ledger(definitions, entries)
        self._pathways = pathways
        self._spending = spending
        self._tiers = tiers
        self._voids = voids
        self._corrections = corrections

    def prepare(self, item: Read, record: MemberCommand) -> None:
        """Prepare nothing: a command names what it needs itself."""

    def keys(self, item: Read, record: MemberCommand, prepared: None) -> tuple[bytes, ...]:  # noqa: ARG002
        """Name the entries to prefetch, besides the member's."""
        if isinstance(record, UpdateRewardLog) and is_uuid(record.reward_log_id.lower()):
            return (reward_key(record.reward_log_id.lower()),)
        if isinstance(record, RedeemPoints):
            return balances_key(item.member_id), redemption_key(_redemption_id(item, record))
        if isinstance(record, PointsCommand):
            return self._spending.keys(item, record)
        if isinstance(record, AssignTier):
            return self._tiers.keys(item, record)
        if isinstance(record, Void):
            return self._voids.keys(item, record)
        if isinstance(record, CorrectProgress):
            return self._corrections.keys(item, record)
        if isinstance(record, PathwayCommand):
            enrolment = enrolment_key(item.member_id, record.pathway_id)
            if not isinstance(record, ReviewActivity):
                return (enrolment,)
            return enrolment, activity_key(item.member_id, record.pathway_id, record.activity_id)
        return ()

    def step(self, context: RecordContext, record: MemberCommand, prepared: None) -> Answer:  # noqa: ARG002
        """Fold one command; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        match record:
            case UpsertMember():
                return self._upsert(context, record)
            case UpdateMemberStatus():
                return self._change(
                    context, record.if_version, lambda m, at: member_of.with_status(
                        m, record.status, at
                    )
                )  # fmt: skip
            case DeleteMember():
                return self._change(context, record.if_version, member_of.erased)
            case ForgetMember():
                return self._forget(context, record)
            case UpdateRewardLog():
                return self._update_reward(context, record)
            case RedeemPoints():
                return self._redeem(context, record)
            case SpendPoints() | HoldPoints() | CaptureHold() | ReleaseHold() | AdjustPoints():
                return self._spending.command(context, record)
            case AssignTier():
                return self._tiers.assign(context, record)
            case Void():
                return self._voids.command(context, record)
            case CorrectProgress():
                return self._corrections.command(context, record)
            case Enrol() | Unenrol() | ReviewActivity():
                return self._pathways.command(context, record)

    def _upsert(self, context: RecordContext, command: UpsertMember) -> Answer:
        member_id, at = context.member_id, context.recorded_at
        before = self._entries.get(MEMBER, member_key(member_id))
        alive = member_of.is_alive(before)
        if command.must_exist and not alive:
            raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "externalId")
        if before is not None and differs(command.if_version, before.version):
            return precondition_failed
        if before is not None and alive and command.only_new:
            return lambda: _shown(200, member_of.reference(member_id, before))
        status = None if command.status is UNSET else command.status
        base = before or member_of.initial(context.project, command.external_id, at)
        after = member_of.evolve(base, command, status, at)
        store_member(self._entries, context, before, after)
        return lambda: _shown(200 if alive else 201, member_of.reference(member_id, after))

    def _change(
        self, context: RecordContext, if_version: int | None, change: Callable[..., Member]
    ) -> Answer:
        before = require_member(self._entries, context)
        if differs(if_version, before.version):
            return precondition_failed
        after = change(before, context.recorded_at)
        store_member(self._entries, context, before, after)
        return lambda: _shown(200, member_of.reference(context.member_id, after))

    def _forget(self, context: RecordContext, command: ForgetMember) -> Answer:
        before = require_member(self._entries, context, deleted=True)
        if differs(command.if_version, before.version):
            return precondition_failed
        after = forget(self._entries, context, before, command.keys_before)
        if after is before:
            context.repeat()
        answer = outputs.ForgottenAnswer(
            user_id=after.external_id,
            member_id=context.member_id,
            forgotten_at=after.updated_at,
        )
        return lambda: _shown(200, answer)

    def _update_reward(self, context: RecordContext, command: UpdateRewardLog) -> Answer:
        require_member(self._entries, context, deleted=True)
        if isinstance(command.reward_issued_at, datetime):
            not_ahead(context.present, "rewardIssuedAt", command.reward_issued_at)
        reward_id = command.reward_log_id.lower()
        key = reward_key(reward_id) if is_uuid(reward_id) else None
        before = None if key is None else self._entries.get(REWARD, key)
        if key is None or before is None or before.member_id != context.member_id:
            raise Refused(Reason.INVALID, "no such reward log of this member", "rewardLogId")
        if differs(command.if_version, before.version):
            return precondition_failed
        if before.revoked_at is not None:
            raise Refused(Reason.REWARD_REVOKED, "the reward was revoked", "rewardLogId")
        after = reward_of.evolve(before, command, context.recorded_at)
        milestone = self._definitions.milestone(context.project, after.milestone_id)
        joined = outputs.NULL if milestone is None else milestone.json
        record = reward_of.record(reward_id, after, joined)
        if after is not before:
            self._entries.set(REWARD, key, after)
            data = reward_of.changed(record, -1 if milestone is None else milestone.version)
            context.emit(REWARD_UPDATED, data, at=record.updated_at, version=record.version)
        return lambda: _shown(200, record)

    def _redeem(self, context: RecordContext, command: RedeemPoints) -> Answer:
        """Take points: the entry is written in full, the balance stops at 0."""
        member = require_member(self._entries, context)
        if differs(command.if_version, member.version):
            return precondition_failed
        key = redemption_key(_redemption_id(context, command))
        answered = self._entries.get(REDEMPTION, key)
        if answered is not None:
            context.repeat()
            return lambda: replies.Reply(200, answered.body)
        entry = Entry(
            source=ids.REDEMPTION,
            source_id=ids.redemption_source(context.member_id, command.unique_identifier),
            action_id=points_of.REDEEM,
            points=-command.points,
            at=context.present,
            group=command.challenge_group or DEFAULT_GROUP,
            ip=command.ip,
        )
        data, took = self._ledger.redeem(context, entry)
        body = Raw(outputs.encode(data))
        self._entries.set(REDEMPTION, key, Redeemed(body, took))
        return lambda: replies.Reply(200, body)


def _redemption_id(item: Read | RecordContext, command: RedeemPoints) -> str:
    return ids.redemption_id(item.project, item.member_id, command.unique_identifier)


def _shown(status: int, record: msgspec.Struct) -> replies.Reply:
    return replies.Reply(status, Raw(outputs.encode(record)))

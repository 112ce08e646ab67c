"""Member commands in a chunk: upsert, status, delete, and how a reward was fulfilled."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import UNSET, Raw

from processor.domain import member as member_of
from processor.domain import points as points_of
from processor.domain import reward as reward_of
from processor.domain.announce import Announcer
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.entries import balances_key, redemption_key, reward_key
from processor.domain.event import Answered
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.ledger import Ledger
from processor.domain.member import Member
from processor.domain.pathways import Pathways
from processor.domain.points import Entry
from processor.domain.rules import DEFAULT_GROUP
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.dead_letter import Reason
from schemas.ids import is_uuid
from schemas.instants import from_millis
from schemas.records import (
    DeleteMember,
    Enrol,
    MemberCommand,
    PathwayCommand,
    RedeemPoints,
    ReviewActivity,
    Unenrol,
    UpdateMemberStatus,
    UpdateRewardLog,
    UpsertMember,
)

Answer = Callable[[], replies.Reply]


class Commands:
    """Steps through the member commands of one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        pathways: Pathways,
    ) -> None:
        self._definitions = definitions
        self._entries = entries
        self._counts = effects.counts
        self._announce = Announcer(effects)
        self._ledger = Ledger(entries, effects)
        self._pathways = pathways

    def keys(self, item: Read, command: MemberCommand) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        if isinstance(command, UpdateRewardLog) and is_uuid(command.reward_log_id.lower()):
            return (reward_key(command.reward_log_id.lower()),)
        if isinstance(command, RedeemPoints):
            return balances_key(item.member_id), redemption_key(_redemption_id(item, command))
        if isinstance(command, PathwayCommand):
            return self._pathways.keys(item, command)
        return ()

    def step(self, item: Read, command: MemberCommand, sequence: int) -> Answer:
        """Fold one command; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        match command:
            case UpsertMember():
                return self._upsert(item, command, sequence)
            case UpdateMemberStatus():
                return self._change(
                    item, command.if_version, sequence, lambda m, at: member_of.with_status(
                        m, command.status, at
                    )
                )  # fmt: skip
            case DeleteMember():
                return self._change(item, command.if_version, sequence, member_of.erased)
            case UpdateRewardLog():
                return self._update_reward(item, command, sequence)
            case RedeemPoints():
                return self._redeem(item, command, sequence)
            case Enrol() | Unenrol() | ReviewActivity():
                return self._pathways.command(item, command, sequence)

    def _upsert(self, item: Read, command: UpsertMember, sequence: int) -> Answer:
        at = from_millis(item.input.timestamp)
        before = self._entries.member(item.member_id)
        alive = before is not None and before.status != member_of.DELETED
        if command.must_exist and not alive:
            raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "externalId")
        if before is not None and _differs(command.if_version, before.version):
            return _precondition_failed
        if before is not None and alive and command.only_new:
            return lambda: _shown(200, member_of.reference(item.member_id, before))
        status = None if command.status is UNSET else command.status
        base = before or member_of.initial(item.project, command.external_id, at)
        after = member_of.evolve(base, command, status, at)
        self._store(item, before, after, sequence)
        return lambda: _shown(200 if alive else 201, member_of.reference(item.member_id, after))

    def _change(
        self,
        item: Read,
        if_version: int | None,
        sequence: int,
        change: Callable[..., Member],
    ) -> Answer:
        before = self._existing(item)
        if _differs(if_version, before.version):
            return _precondition_failed
        after = change(before, from_millis(item.input.timestamp))
        self._store(item, before, after, sequence)
        return lambda: _shown(200, member_of.reference(item.member_id, after))

    def _store(self, item: Read, before: Member | None, after: Member, sequence: int) -> None:
        if member_of.decide(before, after):
            self._entries.set_member(item.member_id, after)
            self._announce.member(item.member_id, after, sequence)

    def _update_reward(self, item: Read, command: UpdateRewardLog, sequence: int) -> Answer:
        self._known(item)
        if isinstance(command.reward_issued_at, datetime):
            not_ahead(item.input, "rewardIssuedAt", command.reward_issued_at)
        reward_id = command.reward_log_id.lower()
        before = self._entries.reward(reward_id) if is_uuid(reward_id) else None
        if before is None or before.member_id != item.member_id:
            raise Refused(Reason.INVALID, "no such reward log of this member", "rewardLogId")
        if _differs(command.if_version, before.version):
            return _precondition_failed
        after = reward_of.evolve(before, command, from_millis(item.input.timestamp))
        milestone = self._definitions.milestone(item.project, after.milestone_id)
        joined = outputs.NULL if milestone is None else milestone.json
        record = reward_of.record(reward_id, after, joined)
        if after is not before:
            self._entries.set_reward(reward_id, after)
            version = -1 if milestone is None else milestone.version
            self._announce.updated(item.project, record, version, sequence)
        return lambda: _shown(200, record)

    def _redeem(self, item: Read, command: RedeemPoints, sequence: int) -> Answer:
        """Take points: the entry is written in full, the balance stops at 0."""
        member = self._existing(item)
        if _differs(command.if_version, member.version):
            return _precondition_failed
        key = redemption_key(_redemption_id(item, command))
        answered = self._entries.answered(key)
        if answered is not None:
            self._counts["duplicates"] += 1
            return lambda: replies.Reply(200, answered.body)
        at = from_millis(item.input.timestamp)
        entry = Entry(
            source=ids.REDEMPTION,
            source_id=ids.redemption_source(item.member_id, command.unique_identifier),
            action_id=points_of.REDEEM,
            points=-command.points,
            at=at,
            group=command.challenge_group or DEFAULT_GROUP,
            ip=command.ip,
        )
        record = self._ledger.add(item.project, item.member_id, entry, at, sequence)
        body = Raw(outputs.encode(record))
        self._entries.set_answered(key, Answered(body))
        return lambda: replies.Reply(200, body)

    def _known(self, item: Read) -> Member:
        """Return a member of this project, deleted or not: what it was given stays."""
        member = self._entries.member(item.member_id)
        if member is None or member.project != item.project:
            raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "userId")
        return member

    def _existing(self, item: Read) -> Member:
        member = self._entries.member(item.member_id)
        if not member_of.is_there(member, item.project):
            raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "userId")
        return member


def _redemption_id(item: Read, command: RedeemPoints) -> str:
    return ids.redemption_id(item.project, item.member_id, command.unique_identifier)


def _differs(wanted: int | None, version: int) -> bool:
    return wanted is not None and wanted != version


def _shown(status: int, record: msgspec.Struct) -> replies.Reply:
    return replies.Reply(status, Raw(outputs.encode(record)))


def _precondition_failed() -> replies.Reply:
    body = replies.Refusal(code="version_mismatch", message="the record has changed since")
    return replies.Reply(412, Raw(msgspec.json.encode(body)))

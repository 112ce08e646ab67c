"""Spending in a chunk: points spent, held, captured, released and adjusted by command."""

from datetime import datetime
from functools import partial

import msgspec
from msgspec import Raw

from processor.domain.aggregates import hold as hold_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.hold import Hold
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.points import Entry, Moved, Purse, Taken, Took
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.ledger import Ledger, Said
from processor.domain.handlers.lots import Lots
from processor.domain.handlers.members import differs, precondition_failed, require_member
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.rules import DEFAULT_GROUP
from processor.domain.state_kinds import HOLD, MOVED, balances_key, hold_key, moved_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.dead_letter import Reason
from schemas.event_types import (
    POINTS_ADJUSTED,
    POINTS_CAPTURED,
    POINTS_HELD,
    POINTS_REFUSED,
    POINTS_RELEASED,
    POINTS_SPENT,
    EventType,
)
from schemas.records import (
    AdjustPoints,
    CaptureHold,
    HoldPoints,
    PointsCommand,
    ReleaseHold,
    SpendPoints,
)

_SOURCES = {
    SpendPoints: ids.SPEND,
    CaptureHold: ids.CAPTURE,
    ReleaseHold: ids.RELEASE,
    AdjustPoints: ids.ADJUST,
}
"""What tells the commands of one identifier apart; a hold is an entry of its own."""


class Spending:
    """Steps through the commands of one chunk that move points."""

    def __init__(self, definitions: Definitions, entries: WorkingSet, effects: Effects) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._ledger = Ledger(definitions, entries)

    def keys(self, item: Read, command: PointsCommand) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        keys = [balances_key(item.member_id)]
        if isinstance(command, HoldPoints):
            keys.append(_key_of_hold(item, command.unique_identifier))
        else:
            keys.append(moved_key(_entry_id(item, command)))
        if isinstance(command, CaptureHold | ReleaseHold):
            keys.append(_key_of_hold(item, command.hold_identifier))
        return tuple(keys)

    def command(self, context: RecordContext, command: PointsCommand) -> Answer:
        """Fold one command; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        if isinstance(command, HoldPoints):
            return self._hold(context, command)
        if isinstance(command, AdjustPoints) and command.occurred_at is not None:
            not_ahead(context.present, "occurredAt", command.occurred_at)
        member = require_member(self._entries, context)
        key = moved_key(_entry_id(context, command))
        first = self._entries.get(MOVED, key)
        if first is not None:
            context.repeat()
            return partial(_answer, member, command, first)
        if differs(command.if_version, member.version):
            return precondition_failed
        if isinstance(command, CaptureHold | ReleaseHold):
            done = self._close(context, member, command)
        else:
            refusal = self._refusal(context, member, command)
            if refusal is not None:
                return refusal
            done = self._move(context, member, command)
        self._entries.set(MOVED, key, done)
        return partial(_answer, member, command, done)

    def _refusal(
        self, context: RecordContext, member: Member, command: SpendPoints | AdjustPoints
    ) -> Answer | None:
        """Return what refuses a command for which the points do not suffice.

        Raises:
            Refused: it cannot be done however many there are.
        """
        group = _group(command)
        if isinstance(command, SpendPoints):
            _check_live(member)
        elif command.expires_at is not None and not self._has_wallet(context, group):
            raise Refused(Reason.INVALID, "is for a group that has a wallet", "expiresAt")
        purse = self._ledger.balances(context.member_id).purse(group)
        if purse.available + _signed(command) < 0:
            return self._short(context, member, command, purse)
        return None

    def _has_wallet(self, context: RecordContext, group: str) -> bool:
        return self._definitions.wallet(context.project, group) is not None

    def _move(
        self, context: RecordContext, member: Member, command: SpendPoints | AdjustPoints
    ) -> Moved:
        """Take, or give, all points of a command."""
        points, at, event_type = _signed(command), context.present, POINTS_SPENT
        lots, took = self._ledger.lots(context, _group(command)), list[Taken]()
        if isinstance(command, AdjustPoints):
            event_type, at = POINTS_ADJUSTED, command.occurred_at or at
        if points < 0:
            took = lots.take(-points)
        elif isinstance(command, AdjustPoints) and command.expires_at is not None:
            lots.give(points, command.expires_at)
        elif isinstance(command, AdjustPoints) and command.occurred_at is None:
            lots.add(points)
        else:
            lots.grant(points, at, at_once=True)
        entry = _entry(context, command, lots.group, points, at=at)
        self._ledger.move(context, event_type, entry, lots, _said(member, command))
        self._ledger.expire_late(context, member.external_id, lots)
        return _moved(lots, command.points, took)

    def _hold(self, context: RecordContext, command: HoldPoints) -> Answer:
        key = _key_of_hold(context, command.unique_identifier)
        first, at = self._entries.get(HOLD, key), context.present
        until = at if first is not None else hold_of.until_of(command, at)
        member = require_member(self._entries, context)
        if first is not None:
            context.repeat()
            return partial(_hold_answer, member, first)
        if differs(command.if_version, member.version):
            return precondition_failed
        _check_live(member)
        group = _group(command)
        balances = self._ledger.balances(context.member_id)
        if balances.holds >= hold_of.MAX_OPEN:
            message = f"a member may have at most {hold_of.MAX_OPEN} open holds"
            raise Refused(Reason.TOO_MANY_HOLDS, message)
        purse = balances.purse(group)
        if purse.available < command.points:
            return self._short(context, member, command, purse)
        lots = self._ledger.lots(context, group)
        lots.reserve(command.points)
        self._ledger.keep(context.member_id, lots)
        after = lots.purse
        hold = hold_of.initial(command, until, at, after.balance, after.held)
        self._entries.set(HOLD, key, hold)
        self._entries.add_due(until, key)
        self._reserved(context, POINTS_HELD, member.external_id, hold, after, command=command)
        return partial(_hold_answer, member, hold)

    def _close(
        self, context: RecordContext, member: Member, command: CaptureHold | ReleaseHold
    ) -> Moved:
        """Capture or release a hold."""
        key = _key_of_hold(context, command.hold_identifier)
        before = self._entries.get(HOLD, key)
        spent = hold_of.decide(before, command)
        assert before is not None
        self._entries.drop_due(before.until, key)
        capture, user_id = isinstance(command, CaptureHold), member.external_id
        status = hold_of.CAPTURED if capture else hold_of.RELEASED
        hold, lots = self._closed(context, key, before, status, spent)
        took = lots.take(spent)
        if capture:
            entry = _entry(context, command, hold.group, -spent, at=context.present)
            said = _said(member, command, hold_of.record(hold))
            self._ledger.move(context, POINTS_CAPTURED, entry, lots, said)
        else:
            self._ledger.keep(context.member_id, lots)
        if spent < hold.points:
            self._reserved(context, POINTS_RELEASED, user_id, hold, lots.purse, command=command)
        lapsed = lots.lapse_released()
        self._ledger.expire(context, user_id, lots, lapsed, context.present)
        return _moved(lots, spent if capture else hold.points, took)

    def lapse(self, context: RecordContext, user_id: str, key: bytes, rest: bytes) -> None:  # noqa: ARG002
        """Release a hold whose time is over."""
        before = self._entries.get(HOLD, key)
        if before is None or before.status != hold_of.OPEN:
            return
        hold, lots = self._closed(context, key, before, hold_of.LAPSED, 0)
        self._ledger.keep(context.member_id, lots)
        self._reserved(context, POINTS_RELEASED, user_id, hold, lots.purse)
        self._ledger.expire(context, user_id, lots, lots.lapse_released(), before.until)

    def _closed(
        self, context: RecordContext, key: bytes, before: Hold, status: str, spent: int
    ) -> tuple[Hold, Lots]:
        """Close a hold; return it, and the points of its group, of which it holds none more."""
        at = before.until if status == hold_of.LAPSED else context.present
        hold = hold_of.evolve(before, status, spent, at)
        self._entries.set(HOLD, key, hold)
        lots = self._ledger.lots(context, hold.group)
        lots.unreserve(hold.points)
        return hold, lots

    def _reserved(
        self,
        context: RecordContext,
        event_type: EventType,
        user_id: str,
        hold: Hold,
        after: Purse,
        *,
        command: PointsCommand | None = None,
    ) -> None:
        """Publish that points were reserved, or that what is left of a hold was given back."""
        at = hold.closed_at or hold.opened_at
        data = outputs.PointsReserved(
            id=ids.hold_id(context.project, context.member_id, hold.identifier),
            user_id=user_id,
            owned_by_id=context.member_id,
            challenge_group=hold.group,
            points=hold.points - hold.captured,
            balance=after.balance,
            held=after.held,
            available=after.available,
            pending=after.pending,
            hold_identifier=hold.identifier,
            hold=hold_of.record(hold),
            occurred_at=at,
            created_at=context.recorded_at,
            why=None if hold.status == hold_of.OPEN else hold.status,
            unique_identifier=None if command is None else command.unique_identifier,
            reason=None if command is None else command.reason,
        )
        context.emit(event_type, data, at=at)

    def _short(
        self, context: RecordContext, member: Member, command: PointsCommand, purse: Purse
    ) -> Answer:
        """Refuse a command for which the points do not suffice: by its answer where it asked for
        one, else by an event. It is no dead letter: with more points it would be good."""
        assert isinstance(command, SpendPoints | HoldPoints | AdjustPoints)
        asked = abs(command.points)
        source = context.source
        assert source is not None
        if not _asks(source.headers):
            data = outputs.PointsRefused(
                id=ids.placed_refusal_id(
                    context.project, source.topic, source.partition, source.offset
                ),
                user_id=member.external_id,
                owned_by_id=context.member_id,
                command=str(type(command).__struct_config__.tag),
                unique_identifier=command.unique_identifier,
                challenge_group=_group(command),
                asked=asked,
                balance=purse.balance,
                held=purse.held,
                available=purse.available,
                occurred_at=context.present,
                created_at=context.recorded_at,
                reason=command.reason,
                actor=command.actor if isinstance(command, AdjustPoints) else None,
            )
            context.emit(POINTS_REFUSED, data, at=context.present)
        return partial(_insufficient, asked, purse.available)


def _asks(headers: replies.Headers) -> bool:
    try:
        return replies.reply_to(headers) is not None
    except replies.MissingReplyTopic:
        return False


def _group(command: PointsCommand) -> str:
    return command.challenge_group or DEFAULT_GROUP


def _signed(command: SpendPoints | AdjustPoints) -> int:
    return command.points if isinstance(command, AdjustPoints) else -command.points


def _check_live(member: Member) -> None:
    if member.status != member_of.LIVE:
        raise Refused(Reason.MEMBER_PAUSED, "the member is paused")


def _entry_id(item: Read | RecordContext, command: PointsCommand) -> str:
    source_id = ids.command_source(item.member_id, command.unique_identifier)
    return ids.points_entry_id(item.project, _SOURCES[type(command)], source_id)


def _key_of_hold(item: Read | RecordContext, identifier: str) -> bytes:
    return hold_key(item.member_id, ids.hold_id(item.project, item.member_id, identifier))


def _entry(
    context: RecordContext, command: PointsCommand, group: str, points: int, *, at: datetime
) -> Entry:
    source = _SOURCES[type(command)]
    return Entry(
        source=source,
        source_id=ids.command_source(context.member_id, command.unique_identifier),
        action_id=source,
        points=points,
        at=at,
        group=group,
    )


def _said(member: Member, command: PointsCommand, hold: outputs.Hold | None = None) -> Said:
    actor = command.actor if isinstance(command, AdjustPoints) else None
    return Said(member.external_id, command.unique_identifier, command.reason, actor, hold)


def _moved(lots: Lots, points: int, took: Took) -> Moved:
    purse = lots.purse
    return Moved(lots.group, points, purse.balance, purse.held, took)


def _answer(member: Member, command: PointsCommand, done: Moved) -> replies.Reply:
    return _shown(member, command.unique_identifier, done)


def _hold_answer(member: Member, hold: Hold) -> replies.Reply:
    done = Moved(hold.group, hold.points, hold.balance, hold.held)
    return _shown(member, hold.identifier, done, hold.until)


def _shown(
    member: Member, identifier: str, done: Moved, until: datetime | None = None
) -> replies.Reply:
    answer = outputs.PointsAnswer(
        user_id=member.external_id,
        unique_identifier=identifier,
        challenge_group=done.group,
        points=done.points,
        balance=done.balance,
        held=done.held,
        available=done.balance - done.held,
        until=until,
    )
    return replies.Reply(200, Raw(outputs.encode(answer)))


def _insufficient(asked: int, available: int) -> replies.Reply:
    body = replies.Refusal(
        code=Reason.INSUFFICIENT_POINTS,
        message=f"{asked} points were asked for, {available} are available",
        asked=asked,
        available=available,
    )
    return replies.Reply(409, Raw(msgspec.json.encode(body)))

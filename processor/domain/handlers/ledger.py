"""Writing entries into the members' points ledgers within a chunk."""

import msgspec

from processor.domain.aggregates import points as points_of
from processor.domain.aggregates.boost import LIMIT
from processor.domain.aggregates.points import Balances, Entry, Purse
from processor.domain.context import RecordContext
from processor.domain.state_kinds import BALANCES, MEMBER, balances_key, member_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED, EventType


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a command that moves points says besides how many."""

    user_id: str
    unique_identifier: str
    reason: str | None = None
    actor: str | None = None
    hold: outputs.Hold | None = None


class Ledger:
    """The points of one chunk's members."""

    def __init__(self, entries: WorkingSet) -> None:
        self._entries = entries

    def balances(self, member_id: str) -> Balances:
        """Return what a member has."""
        return self._entries.get(BALANCES, balances_key(member_id)) or points_of.initial()

    def keep(self, member_id: str, group: str, purse: Purse) -> Balances:
        """Set what a member has in one group; return all that it has."""
        after = points_of.replaced(self.balances(member_id), group, purse)
        self._entries.set(BALANCES, balances_key(member_id), after)
        return after

    def move(
        self,
        context: RecordContext,
        event_type: EventType,
        entry: Entry,
        after: Balances,
        said: Said,
    ) -> None:
        """Publish an entry that a command made; ``after`` is what the member has with it."""
        purse = after.purse(entry.group)
        data = outputs.PointsMoved(
            id=ids.points_entry_id(context.project, entry.source, entry.source_id),
            user_id=said.user_id,
            owned_by_id=context.member_id,
            action_id=entry.action_id,
            challenge_group=entry.group,
            points=entry.points,
            balance=purse.balance,
            total_balance=after.total,
            operation=entry.action_id,
            event_id=entry.event_id,
            user_group_id=entry.user_group,
            source_id=entry.source_id,
            ip=entry.ip,
            occurred_at=entry.at,
            created_at=context.recorded_at,
            definition_version=entry.version,
            held=purse.held,
            available=purse.available,
            unique_identifier=said.unique_identifier,
            hold_identifier=None if said.hold is None else said.hold.hold_identifier,
            reason=said.reason,
            actor=said.actor,
            hold=said.hold,
        )
        context.emit(event_type, data, at=entry.at)

    def add(self, context: RecordContext, entry: Entry) -> outputs.PointsChanged:
        """Write an entry and publish it; return it."""
        key = balances_key(context.member_id)
        before = self.balances(context.member_id)
        after = points_of.evolve(before, entry.group, entry.points)
        self._entries.set(BALANCES, key, after)
        member = self._entries.get(MEMBER, member_key(context.member_id))
        user_id = "" if member is None else member.external_id
        data = _record(context, user_id, entry, after)
        redeemed = data.operation == points_of.REDEEM
        context.emit(POINTS_REDEEMED if redeemed else POINTS_GRANTED, data, at=entry.at)
        return data


def _record(
    context: RecordContext, user_id: str, entry: Entry, after: Balances
) -> outputs.PointsChanged:
    purse = after.groups.get(entry.group, 0)
    balance, held = (purse.balance, purse.held) if isinstance(purse, Purse) else (purse, 0)
    data = outputs.PointsChanged(
        id=ids.points_entry_id(context.project, entry.source, entry.source_id),
        user_id=user_id,
        owned_by_id=context.member_id,
        action_id=entry.action_id,
        challenge_group=entry.group,
        points=entry.points,
        balance=balance,
        total_balance=after.total,
        operation=points_of.REDEEM if entry.points < 0 else points_of.GRANT,
        event_id=entry.event_id,
        user_group_id=entry.user_group,
        source_id=entry.source_id,
        ip=entry.ip,
        occurred_at=entry.at,
        created_at=context.recorded_at,
        definition_version=entry.version,
        held=held,
    )
    multiplied = entry.multiplied
    if multiplied is not None:
        data.base, data.bonus = multiplied.base, entry.points - multiplied.base
        data.boosts, data.tier = list(multiplied.boosts), multiplied.tiers_json()
        if multiplied.cut:
            data.cut, data.cut_by = multiplied.cut, LIMIT
    return data

"""Writing entries into the members' points ledgers within a chunk."""

from processor.domain.aggregates import points as points_of
from processor.domain.aggregates.points import Balances, Entry
from processor.domain.context import RecordContext
from processor.domain.state_kinds import BALANCES, MEMBER, balances_key, member_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED


class Ledger:
    """The points of one chunk's members."""

    def __init__(self, entries: WorkingSet) -> None:
        self._entries = entries

    def add(self, context: RecordContext, entry: Entry) -> outputs.PointsChanged:
        """Write an entry and publish it; return it."""
        key = balances_key(context.member_id)
        before = self._entries.get(BALANCES, key) or points_of.initial()
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
    return outputs.PointsChanged(
        id=ids.points_entry_id(context.project, entry.source, entry.source_id),
        user_id=user_id,
        owned_by_id=context.member_id,
        action_id=entry.action_id,
        challenge_group=entry.group,
        points=entry.points,
        balance=after.groups.get(entry.group, 0),
        total_balance=after.total,
        operation=points_of.REDEEM if entry.points < 0 else points_of.GRANT,
        event_id=entry.event_id,
        user_group_id=entry.user_group,
        source_id=entry.source_id,
        ip=entry.ip,
        occurred_at=entry.at,
        created_at=context.recorded_at,
        definition_version=entry.version,
    )

"""Writing entries into the members' points ledgers within a chunk."""

from datetime import datetime

from processor.domain import points as points_of
from processor.domain.cloud_events import emit
from processor.domain.effects import Effects
from processor.domain.points import Entry
from processor.domain.working_set import WorkingSet
from schemas import outputs
from schemas.event_types import POINTS_GRANTED, POINTS_REDEEMED


class Ledger:
    """The points of one chunk's members."""

    def __init__(self, entries: WorkingSet, effects: Effects) -> None:
        self._entries = entries
        self._effects = effects

    def add(
        self, project: str, member_id: str, entry: Entry, recorded_at: datetime, sequence: int
    ) -> outputs.PointsChanged:
        """Write an entry and publish it; return it."""
        after = points_of.evolve(self._entries.balances(member_id), entry.group, entry.points)
        self._entries.set_balances(member_id, after)
        member = self._entries.member(member_id)
        user_id = "" if member is None else member.external_id
        data = points_of.record(
            project, member_id, user_id, entry, after=after, recorded_at=recorded_at
        )
        event_type = POINTS_REDEEMED if data.operation == points_of.REDEEM else POINTS_GRANTED
        emit(
            self._effects,
            event_type,
            event_type.event_id(project, data.id),
            project,
            member_id=member_id,
            at=entry.at,
            data=data,
            sequence=sequence,
        )
        return data

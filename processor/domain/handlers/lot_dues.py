"""Dues of lots in a chunk: time lets points begin to count and lapse, and gives notice before.

``key`` is the key of what is due, ``rest`` what follows the member's id in it: the lot's group and
place.
"""

from datetime import datetime

from processor.domain.aggregates.wallet import Lot
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import Ledger
from processor.domain.handlers.lots import Lots
from processor.domain.state_kinds import LOT, lot_of_notice, lot_place
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import POINTS_ACTIVATED, POINTS_EXPIRING
from schemas.instants import millis_of


class LotDues:
    """Does what is due of the lots of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._entries = entries
        self._ledger = Ledger(definitions, entries)

    def fall_due(self, context: RecordContext, user_id: str, key: bytes, rest: bytes) -> None:
        """Let a lot begin to count, or lapse."""
        lot = self._due_lot(context, key)
        if lot is None:
            return
        lots = self._ledger.lots(context, lot_place(rest)[0])
        if lot.activates_at is not None:
            lots.activate(key, lot)
            self._activated(context, user_id, lots, lot.points, lot.activates_at)
        elif lot.expires_at is not None:
            lapsed = lots.lapse(key, lot)
            if lapsed:
                self._ledger.expire(context, user_id, lots, lapsed, lot.expires_at)
            else:
                self._ledger.keep(context.member_id, lots)

    def give_notice(self, context: RecordContext, user_id: str, key: bytes, rest: bytes) -> None:
        """Publish that a lot will lapse; the key is that of the notice."""
        lot_key = lot_of_notice(key)
        lot = self._entries.get(LOT, lot_key)
        if lot is None or not lot.notices or lot.expires_at is None:
            return
        group, place = lot_place(rest)
        notice = lot.notices[0]
        lots = self._ledger.lots(context, group)
        number = lots.give_notice(lot_key, lot)
        self._ledger.keep(context.member_id, lots)
        data = outputs.PointsExpiring(
            id=ids.time_change_id(
                context.project, "points_expiring", context.member_id, group, number
            ),
            user_id=user_id,
            owned_by_id=context.member_id,
            challenge_group=group,
            lot_id=ids.lot_id(context.project, context.member_id, group, place.name),
            points=lot.points,
            expires_at=lot.expires_at,
            notice_days=notice.days,
            occurred_at=notice.at,
            created_at=context.recorded_at,
        )
        context.emit(POINTS_EXPIRING, data, at=notice.at)

    def _activated(
        self, context: RecordContext, user_id: str, lots: Lots, points: int, at: datetime
    ) -> None:
        """Publish that points count from now on."""
        number, changed = lots.count_time_change(), lots.changed()
        after, purse = self._ledger.keep(context.member_id, lots), lots.purse
        group = lots.group
        data = outputs.PointsActivated(
            id=ids.time_change_id(
                context.project, "points_activated", context.member_id, group, number
            ),
            user_id=user_id,
            owned_by_id=context.member_id,
            challenge_group=group,
            points=points,
            balance=purse.balance,
            total_balance=after.total,
            held=purse.held,
            available=purse.available,
            pending=purse.pending,
            lots=changed,
            occurred_at=at,
            created_at=context.recorded_at,
        )
        context.emit(POINTS_ACTIVATED, data, at=at)

    def _due_lot(self, context: RecordContext, key: bytes) -> Lot | None:
        """Return the lot if its moment has come; if that lies ahead, put the lot back among the
        dues and return None."""
        lot = self._entries.get(LOT, key)
        at = None if lot is None else lot.activates_at or lot.expires_at
        if lot is None or at is None:
            return None
        if millis_of(at) > millis_of(context.present):
            self._entries.add_due(at, key)
            return None
        return lot

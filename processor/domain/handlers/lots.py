"""The lots of one member's wallet, as one record moves them."""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from processor.domain.aggregates import wallet as wallet_of
from processor.domain.aggregates.points import Purse
from processor.domain.aggregates.wallet import ENDLESS, Expiry, Lot, Place
from processor.domain.context import RecordContext
from processor.domain.rules import Wallet
from processor.domain.state_kinds import (
    LOT,
    active_lots,
    all_lots,
    lot_key,
    lot_place,
    lots_family,
    notice_due,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs


class Lots:
    """A member's points in one group, and the lots that they lie in.

    ``purse`` is what the member has after each change; whoever makes one of these keeps it.
    """

    def __init__(
        self,
        entries: WorkingSet,
        context: RecordContext,
        group: str,
        purse: Purse,
        wallet: Wallet | None,
    ) -> None:
        self._entries = entries
        self._context = context
        self._family = lots_family(context.member_id, group)
        self._endless = purse.endless
        self._late: tuple[Place, int, datetime] | None = None
        self._changed: dict[str, outputs.Lot] = {}
        self.group = group
        self.wallet = wallet
        self.purse = purse

    def changed(self) -> list[outputs.Lot]:
        """Return the lots that changed since they were last asked for, as they are now; the purse
        says from then on that they were told.

        The points that a member had before there was a wallet are a lot that is told of with the
        first change. A group that has, and had, no wallet shows none.
        """
        told, endless = self.purse.told, self.purse.endless
        if self.wallet is None and not told:
            return []
        if endless != self._endless or (endless and not told):
            self._show(ENDLESS, Lot(endless))
            self._endless = endless
        if not told:
            self.purse = replace(self.purse, told=True)
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def reserve(self, points: int) -> None:
        """Have one more hold reserve points."""
        self._add(held=points, holds=1)

    def unreserve(self, points: int) -> None:
        """Have one hold less reserve points."""
        self._add(held=-points, holds=-1)

    def grant(self, points: int, at: datetime, *, at_once: bool = False) -> str:
        """Add points that were granted at a moment; return the name of their lot.

        ``at_once`` makes them count with it, though points of the wallet wait.
        """
        wallet = self.wallet
        if wallet is None:
            return self._count(None, points)
        activates = None if at_once else wallet_of.activates_at(wallet, at)
        if activates is None or activates <= self._context.recorded_at:
            return self._count(wallet_of.expiry(wallet, activates or at), points)
        expiry = wallet_of.expiry(wallet, activates)
        slides = wallet.expiry == "sliding"
        if slides:
            self._slide(wallet_of.expiry(wallet, at), 0)
        self._add(pending=points)
        place = Place(wallet_of.day_of(wallet, activates), None if expiry is None else expiry.day)
        ends = None if expiry is None else expiry.at
        self._put(place, Lot(points, ends, activates, slides=slides))
        return place.name

    def give(self, points: int, expires_at: datetime) -> str:
        """Add points that count at once and lapse at a given moment; return their lot's name."""
        assert self.wallet is not None
        return self._count(Expiry(wallet_of.day_of(self.wallet, expires_at), expires_at), points)

    def take(self, points: int) -> list[tuple[str, int]]:
        """Take points from what lapses first; return from which lots, by their names."""
        took: list[tuple[str, int]] = []
        self._add(balance=-points)
        for key, lot in self._dated():
            if not points:
                break
            some = min(points, lot.points)
            self._withdraw(key, lot, some)
            took.append((lot_place(key[17:])[1].name, some))
            points -= some
        return [*took, (ENDLESS, points)] if points else took

    def lapse(self, key: bytes, lot: Lot) -> int:
        """Let a lot lapse whose time is over, as far as it is not held; return how many points
        that takes. What is held counts as the points that lapse first."""
        points = self._beyond_held(lot.points)
        kept = lot.points - points
        self._add(balance=-points, expiring=-points, overdue=kept)
        self._set(key, replace(lot, points=kept, notices=(), overdue=True))
        return points

    def lapse_late(self) -> tuple[int, datetime | None]:
        """Let lapse what was granted for a moment so long ago that its time is over; return how
        many points, and when they lapsed."""
        if self._late is None:
            return 0, None
        place, points, at = self._late
        self._late = None
        self._add(balance=-points, expiring=-points)
        there = self._entries.get(LOT, lot_key(self._family, place))
        self._show(place.name, there or Lot(0, at))
        return points, at

    def lapse_released(self) -> int:
        """Let lapse what is past its time and no longer held; return how many points."""
        points = left = self._beyond_held(0)
        if not points:
            return 0
        self._add(balance=-points)
        overdue = [(key, lot) for key, lot in self._dated(self.purse.overdue) if lot.overdue]
        for key, lot in reversed(overdue):
            some = min(left, lot.points)
            self._withdraw(key, lot, some)
            left -= some
            if not left:
                break
        return points

    def activate(self, key: bytes, lot: Lot) -> None:
        """Let the points of a pending lot count."""
        self._set(key, replace(lot, points=0))
        self._add(pending=-lot.points)
        expires = lot_place(key[17:])[1].expires
        if expires is None or lot.expires_at is None:
            self._add(balance=lot.points)
            return
        expiry = Expiry(expires, lot.expires_at)
        self._add(balance=lot.points, expiring=lot.points)
        if lot.slides:
            expiry, more = self._moved_on(expiry)
            lot = replace(lot, points=lot.points + more, expires_at=expiry.at)
        self._put(Place(None, expiry.day), Lot(lot.points, lot.expires_at))

    def told(self, key: bytes, lot: Lot) -> None:
        """Take a notice as given; the lot's next one is due."""
        self.turn()
        self._entries.set_in(self._family, key, replace(lot, notices=lot.notices[1:]))
        if lot.notices[1:]:
            self._entries.add_due(lot.notices[1].at, notice_due(key))

    def turn(self) -> int:
        """Count something that time did; return how much it had done before."""
        self._add(turns=1)
        return self.purse.turns - 1

    def _count(self, expiry: Expiry | None, points: int) -> str:
        """Add points that count at once."""
        self._add(balance=points)
        if self.wallet is None or expiry is None:
            return ENDLESS
        slides = self.wallet.expiry == "sliding"
        if slides and self.purse.slides_at is not None:
            expiry = max(expiry, Expiry(self.purse.slides_on, self.purse.slides_at))
        self._add(expiring=points)
        if expiry.at <= self._context.recorded_at:
            return self._come_late(expiry, points)
        if slides:
            self._slide(expiry, points)
        else:
            self._put(Place(None, expiry.day), Lot(points, expiry.at))
        return Place(None, expiry.day).name

    def _come_late(self, expiry: Expiry, points: int) -> str:
        """Add points whose time is over: as far as they are held they stay, the rest is shown in
        its lot until ``lapse_late``."""
        place = Place(None, expiry.day)
        lapsing = self._beyond_held(points)
        if points > lapsing:
            self._put(place, Lot(points - lapsing, expiry.at, overdue=True))
        if lapsing:
            self._late = place, lapsing, expiry.at
            there = self._entries.get(LOT, lot_key(self._family, place)) or Lot(0, expiry.at)
            self._show(place.name, replace(there, points=there.points + lapsing))
        return place.name

    def _beyond_held(self, more: int) -> int:
        """Return how many points are past their time and not held, with so many more."""
        return min(max(self.purse.overdue + more - self.purse.held, 0), more or self.purse.overdue)

    def _withdraw(self, key: bytes, lot: Lot, points: int) -> None:
        """Take points out of a lot that counts."""
        self._add(expiring=-points, overdue=-points if lot.overdue else 0)
        self._set(key, replace(lot, points=lot.points - points))

    def _slide(self, expiry: Expiry | None, points: int) -> None:
        """Have all lots lapse together, not earlier than by now; add points to them."""
        if expiry is None:
            return
        expiry, more = self._moved_on(expiry)
        if points + more:
            self._put(Place(None, expiry.day), Lot(points + more, expiry.at))

    def _moved_on(self, expiry: Expiry) -> tuple[Expiry, int]:
        """Return when lots lapse together, and the points that leave an earlier lot for that."""
        purse = self.purse
        if purse.slides_at is not None and Expiry(purse.slides_on, purse.slides_at) > expiry:
            return Expiry(purse.slides_on, purse.slides_at), 0
        self.purse = replace(purse, slides_on=expiry.day, slides_at=expiry.at)
        if not purse.slides_on or purse.slides_on == expiry.day:
            return expiry, 0
        key = lot_key(self._family, Place(None, purse.slides_on))
        lot = self._entries.get(LOT, key)
        if lot is None or lot.overdue:
            return expiry, 0
        self._set(key, replace(lot, points=0))
        return expiry, lot.points

    def _put(self, place: Place, more: Lot) -> None:
        """Add points to a lot, which is made where it is not there."""
        key = lot_key(self._family, place)
        before = self._entries.get(LOT, key)
        lot = wallet_of.joined(before, more)
        if more.overdue and lot.overdue:
            self._add(overdue=more.points)
        elif before is not None and before.overdue:
            self._add(overdue=-before.points)
        if before is None:
            self._add(lots=1)
            if self.wallet is not None and place.activates is None:
                now = self._context.recorded_at
                lot = replace(lot, notices=wallet_of.notices(self.wallet, lot.expires_at, now))
        self._set(key, lot, before)
        if before is None and self.purse.lots > wallet_of.MAX_LOTS:
            self._merge()

    def _merge(self) -> None:
        """Make one lot of the two whose days lie closest."""
        keys = list(self._entries.ordered(self._family, *all_lots(self._family)))
        one, other = wallet_of.closest([lot_place(key[17:])[1] for key in keys])
        earlier = self._entries.get(LOT, lot_key(self._family, one))
        later = self._entries.get(LOT, lot_key(self._family, other))
        assert earlier is not None
        assert later is not None
        self._set(lot_key(self._family, one), replace(earlier, points=0))
        if earlier.overdue:
            self._add(overdue=-earlier.points)
        place = other
        if one.activates is not None:
            place = Place(other.activates, _later(one.expires, other.expires))
            if place != other:
                self._set(lot_key(self._family, other), replace(later, points=0))
                earlier = wallet_of.joined(earlier, later)
        if self.purse.slides_on == one.expires and one.activates is None:
            assert later.expires_at is not None
            self.purse = replace(
                self.purse, slides_on=other.expires or 0, slides_at=later.expires_at
            )
        self._put(place, earlier)

    def _dated(self, points: int | None = None) -> Iterator[tuple[bytes, Lot]]:
        """Iterate over the lots that will lapse, the one that lapses first foremost; or over those
        with the first so many overdue points."""
        if not self.purse.expiring:
            return
        for key in self._entries.ordered(self._family, *active_lots(self._family)):
            lot = self._entries.get(LOT, key)
            assert lot is not None
            yield key, lot
            if points is not None and lot.overdue:
                points -= lot.points
                if points <= 0:
                    return

    def _set(self, key: bytes, lot: Lot, before: Lot | None = None) -> None:
        """Keep a lot, or delete it where it is empty, and what is due of it."""
        if before is None:
            before = self._entries.get(LOT, key)
        for due, ahead in ((key, _due), (notice_due(key), _next_notice)):
            was = None if before is None else ahead(before)
            becomes = ahead(lot) if lot.points else None
            if was != becomes:
                if was is not None:
                    self._entries.drop_due(was, due)
                if becomes is not None:
                    self._entries.add_due(becomes, due)
        self._entries.set_in(self._family, key, lot if lot.points else None)
        if not lot.points:
            self._add(lots=-1)
        self._show(lot_place(key[17:])[1].name, lot)

    def _add(self, **amounts: int) -> None:
        added = {name: getattr(self.purse, name) + amount for name, amount in amounts.items()}
        self.purse = replace(self.purse, **added)

    def _show(self, name: str, lot: Lot) -> None:
        lot_id = ids.lot_id(self._context.project, self._context.member_id, self.group, name)
        self._changed[name] = outputs.Lot(
            id=lot_id,
            points=lot.points,
            activates_at=lot.activates_at,
            expires_at=lot.expires_at,
        )


def _due(lot: Lot) -> datetime | None:
    """Return when time does something to a lot."""
    return None if lot.overdue else lot.activates_at or lot.expires_at


def _next_notice(lot: Lot) -> datetime | None:
    return lot.notices[0].at if lot.notices else None


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)

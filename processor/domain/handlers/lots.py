"""The lots of one member's wallet, as one record moves them."""

from collections.abc import Iterable, Iterator
from copy import copy
from datetime import datetime

from msgspec.structs import replace

from processor.domain.aggregates import wallet as wallet_of
from processor.domain.aggregates.period import local_date
from processor.domain.aggregates.points import Purse, Taken
from processor.domain.aggregates.wallet import ENDLESS, Expiry, Lot, Place
from processor.domain.context import RecordContext
from processor.domain.rules import Wallet
from processor.domain.state_kinds import (
    LOT,
    active_lots,
    all_lots,
    lot_days,
    lot_key,
    lots_family,
    notice_due,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs


class Lots:
    """A member's points in one group, and the lots that they lie in.

    ``purse`` is what the member has after each change, to be changed by this class alone; whoever
    makes one of these keeps it.
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
        self._late: tuple[tuple[Place, int, datetime], ...] = ()
        self._changed: dict[str, outputs.Lot] = {}
        self.group = group
        self.wallet = wallet
        self.purse: Purse = copy(purse)

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
            self.purse.told = True
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def reserve(self, points: int) -> None:
        """Have one more hold reserve points."""
        self.purse.held += points
        self.purse.holds += 1

    def unreserve(self, points: int) -> None:
        """Have one hold less reserve points."""
        self.purse.held -= points
        self.purse.holds -= 1

    def grant(self, points: int, at: datetime, *, at_once: bool = False) -> str:
        """Add points that were granted at a moment; return the name of their lot.

        ``at_once`` makes them count with it, though points of the wallet wait.
        """
        wallet = self.wallet
        if wallet is None:
            return self._count(None, points)
        activates = None if at_once else wallet_of.activates_at(wallet, at)
        if activates is None or activates <= self._context.present:
            return self._count(wallet_of.expiry(wallet, activates or at), points)
        expiry = wallet_of.expiry(wallet, activates)
        slides = wallet.expiry == "sliding"
        if slides:
            self._slide(wallet_of.expiry(wallet, at), 0)
        self.purse.pending += points
        place = Place(wallet_of.day_of(wallet, activates), None if expiry is None else expiry.day)
        ends = None if expiry is None else expiry.at
        self._put(place, Lot(points, ends, activates, slides=slides))
        return place.name

    def add(self, points: int) -> str:
        """Add points that were given by hand; return the name of their lot.

        They count at once and lapse as a grant of now would. Where all lots lapse together, these
        points lapse with the others and put nothing off: only grants do, and this is none.
        """
        now, purse = self._context.present, self.purse
        slides = self.wallet is not None and self.wallet.expiry == "sliding"
        if slides and purse.slides_at is not None and purse.slides_at > now:
            return self._count(Expiry(purse.slides_on, purse.slides_at), points)
        return self.grant(points, now, at_once=True)

    def give(self, points: int, expires_at: datetime) -> str:
        """Add points that count at once and lapse at a given moment; return their lot's name."""
        assert self.wallet is not None
        return self._count(Expiry(wallet_of.day_of(self.wallet, expires_at), expires_at), points)

    def take(self, points: int) -> list[Taken]:
        """Take points from what lapses first; return from which lots."""
        took: list[Taken] = []
        self.purse.balance -= points
        for key, lot in self._dated() if points else ():
            some = min(points, lot.points)
            self._withdraw(key, lot, some)
            place = self._place(key)
            slides = place.expires == self.purse.slides_on and not lot.overdue
            took.append(Taken(place.name, some, lot.expires_at, slides))
            points -= some
            if some < lot.points:
                self.purse.first = place.expires or 0
            if not points:  # the next lot is not looked for in vain
                break
        return [*took, Taken(ENDLESS, points)] if points else took

    def take_back(self, points: int, lot: str) -> int:
        """Take points back that were granted into a lot, by its name: from it while it has some,
        then as a spend does, and never what is held. Return how many that are."""
        left = points
        if lot == ENDLESS:
            left -= self._take_endless(points)
        else:
            key = self._where_it_is(Place.named(lot)) if points else None
            left -= 0 if key is None else self._take_from(key, left)
        rest = min(left, self.purse.available)
        self.take(rest)
        return points - left + rest

    def give_back(self, took: Iterable[Taken]) -> None:
        """Put points back into the lots that they were taken from, what lapses first foremost.
        ``lapse_late`` lets lapse what would have lapsed meanwhile."""
        for taken in took:
            self.purse.balance += taken.points
            expiry = self._expiry_of(taken)
            if expiry is None:
                continue
            self.purse.expiring += taken.points
            if expiry.at <= self._context.present:
                self._come_late(expiry, taken.points)
            else:
                self._put(Place(None, expiry.day), Lot(taken.points, expiry.at))

    def lapse(self, key: bytes, lot: Lot) -> int:
        """Let a lot lapse whose time is over, as far as it is not held; return how many points
        that takes. What is held counts as the points that lapse first."""
        points = self._beyond_held(lot.points)
        kept = lot.points - points
        self.purse.balance -= points
        self.purse.expiring -= points
        self.purse.overdue += kept
        self._set(key, replace(lot, points=kept, notices=(), overdue=True))
        return points

    def lapse_late(self) -> Iterator[tuple[int, datetime]]:
        """Let lapse, lot by lot, what came when its time was over; iterate over how many points,
        and when they lapsed."""
        late, self._late = self._late, ()
        for place, points, at in late:
            self.purse.balance -= points
            self.purse.expiring -= points
            there = self._entries.get(LOT, lot_key(self._family, place))
            self._show(place.name, there or Lot(0, at))
            yield points, at

    def lapse_released(self) -> int:
        """Let lapse what is past its time and no longer held; return how many points."""
        points = left = self._beyond_held(0)
        if not points:
            return 0
        self.purse.balance -= points
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
        self.purse.pending -= lot.points
        expires = self._place(key).expires
        if expires is None or lot.expires_at is None:
            self.purse.balance += lot.points
            return
        expiry = Expiry(expires, lot.expires_at)
        self.purse.balance += lot.points
        self.purse.expiring += lot.points
        if lot.slides:
            expiry, more = self._moved_on(expiry)
            lot = replace(lot, points=lot.points + more, expires_at=expiry.at)
        counts = Lot(lot.points, lot.expires_at, put_off=lot.put_off)
        self._put(Place(None, expiry.day), counts)

    def give_notice(self, key: bytes, lot: Lot) -> int:
        """Take a lot's first notice off, and wait for its next one; return as
        ``count_time_change``."""
        self._entries.set_in(self._family, key, replace(lot, notices=lot.notices[1:]))
        if lot.notices[1:]:
            self._entries.add_due(lot.notices[1].at, notice_due(key))
        return self.count_time_change()

    def count_time_change(self) -> int:
        """Count something that time did to these points; return how many such things there were
        before."""
        self.purse.time_changes += 1
        return self.purse.time_changes - 1

    def _count(self, expiry: Expiry | None, points: int) -> str:
        """Add points that count at once."""
        self.purse.balance += points
        if self.wallet is None or expiry is None:
            return ENDLESS
        slides = self.wallet.expiry == "sliding"
        if slides and self.purse.slides_at is not None:
            expiry = max(expiry, Expiry(self.purse.slides_on, self.purse.slides_at))
        self.purse.expiring += points
        if expiry.at <= self._context.present:
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
            self._late = *self._late, (place, lapsing, expiry.at)
            there = self._entries.get(LOT, lot_key(self._family, place)) or Lot(0, expiry.at)
            self._show(place.name, replace(there, points=there.points + lapsing))
        return place.name

    def _beyond_held(self, more: int) -> int:
        """Return how many points are past their time and not held, with so many more."""
        return min(max(self.purse.overdue + more - self.purse.held, 0), more or self.purse.overdue)

    def _take_endless(self, points: int) -> int:
        """Take of the points that live for ever what is there and not held; return how many."""
        points = min(points, self.purse.endless, self.purse.available)
        self.purse.balance -= points
        return points

    def _take_from(self, key: bytes, points: int) -> int:
        """Take from one lot what it has and is not held; return how many points."""
        lot, place = self._entries.get(LOT, key), self._place(key)
        if place == (None, None):
            return self._take_endless(points)
        if lot is None:
            return 0
        if place.activates is not None:
            points = min(points, lot.points)
            self.purse.pending -= points
            self._set(key, replace(lot, points=lot.points - points))
            return points
        points = min(points, lot.points, self.purse.available)
        self.purse.balance -= points
        self._withdraw(key, lot, points)
        return points

    def _where_it_is(self, place: Place) -> bytes | None:
        """Return the key of the lot that a grant's points lie in by now: its own; that which it
        became when its points began to count, moved on with others that lapse together, or were
        made one with the next later one. None where no such lot is there."""
        key = lot_key(self._family, place)
        if self._entries.get(LOT, key) is not None:
            return key
        if place.activates is not None:
            if self.purse.merged and self._waits(place):
                return next(self._after(key, all_lots(self._family)[1]), None)
            return self._where_it_is(Place(None, place.expires))
        if place.expires is None:
            return key
        if self.purse.slides_at is not None and place.expires < self.purse.slides_on:
            return lot_key(self._family, Place(None, self.purse.slides_on))
        if self.purse.merged:
            return next(self._after(key, active_lots(self._family)[1]), None)
        return None

    def _waits(self, place: Place) -> bool:
        """Tell whether points of a lot that is not there wait still, by the day alone: asked only
        where they may wait in another one."""
        now, zone = self._context.present, self.wallet.timezone if self.wallet else "UTC"
        return (place.activates or 0) > local_date(zone, now).toordinal()

    def _after(self, key: bytes, last: bytes) -> Iterator[bytes]:
        """Iterate over the keys of the lots after one, up to ``last``."""
        return self._entries.ordered(self._family, key + b"\0", last)

    def _expiry_of(self, taken: Taken) -> Expiry | None:
        """Return when points lapse that go back to where they were taken from; None: never.

        A lot lapses when the latest of its points do. Those that lapse together have moved on,
        unless they lapsed before.
        """
        if taken.expires_at is None:
            return None
        day, at = Place.named(taken.lot).expires, taken.expires_at
        assert day is not None
        expiry = Expiry(day, at)
        if taken.slides and self.purse.slides_at is not None:
            ended = self.purse.slid_until
            if ended is None or at > ended:
                expiry = max(expiry, Expiry(self.purse.slides_on, self.purse.slides_at))
        there = self._entries.get(LOT, lot_key(self._family, Place(None, expiry.day)))
        if there is None or there.overdue or there.expires_at is None:
            return expiry
        return max(expiry, Expiry(expiry.day, there.expires_at))

    def _withdraw(self, key: bytes, lot: Lot, points: int) -> None:
        """Take points out of a lot that counts."""
        self.purse.expiring -= points
        if lot.overdue:
            self.purse.overdue -= points
        self._set(key, replace(lot, points=lot.points - points))

    def _slide(self, expiry: Expiry | None, points: int) -> None:
        """Have all lots lapse together, not earlier than by now; add points to them."""
        if expiry is None:
            return
        expiry, more = self._moved_on(expiry)
        if points + more or self._ends_before(expiry):
            self._put(Place(None, expiry.day), Lot(points + more, expiry.at))

    def _ends_before(self, expiry: Expiry) -> bool:
        """Tell whether a lot ends on a day, before a moment of it."""
        lot = self._entries.get(LOT, lot_key(self._family, Place(None, expiry.day)))
        return (
            lot is not None
            and not lot.overdue
            and lot.expires_at is not None
            and lot.expires_at < expiry.at
        )

    def _moved_on(self, expiry: Expiry) -> tuple[Expiry, int]:
        """Return when lots lapse together, and the points that leave an earlier lot for that."""
        purse, day = self.purse, self.purse.slides_on
        if purse.slides_at is not None and Expiry(day, purse.slides_at) > expiry:
            return Expiry(day, purse.slides_at), 0
        was, (purse.slides_on, purse.slides_at) = purse.slides_at, expiry
        if was is None or not day:
            return expiry, 0
        key = lot_key(self._family, Place(None, day))
        lot = self._entries.get(LOT, key)
        if lot is None or lot.overdue:
            if was <= self._context.present:
                purse.slid_until = was
            return expiry, 0
        if day == expiry.day:
            return expiry, 0
        self._set(key, replace(lot, points=0))
        return expiry, lot.points

    def _put(self, place: Place, more: Lot) -> None:
        """Add points to a lot, which is made where it is not there."""
        key = lot_key(self._family, place)
        before = self._entries.get(LOT, key)
        lot = wallet_of.joined(before, more)
        if more.overdue and lot.overdue:
            self.purse.overdue += more.points
        elif before is not None and before.overdue:
            self.purse.overdue -= before.points
        if before is None:
            self.purse.lots += 1
            if place.activates is None and place.expires is not None:
                self.purse.first = min(self.purse.first, place.expires)
            if self.wallet is not None and place.activates is None:
                now = self._context.present
                lot = replace(lot, notices=wallet_of.notices(self.wallet, lot.expires_at, now))
        self._set(key, lot, before)
        if before is None and self.purse.lots > wallet_of.MAX_LOTS:
            self._merge()

    def _merge(self) -> None:
        """Make one lot of the two whose days lie closest."""
        keys = self._entries.ordered(self._family, *all_lots(self._family))
        one, other = wallet_of.closest(map(self._place, keys), self._put_off)
        earlier = self._entries.get(LOT, lot_key(self._family, one))
        later = self._entries.get(LOT, lot_key(self._family, other))
        assert earlier is not None
        assert later is not None
        self.purse.merged = True
        self._set(lot_key(self._family, one), replace(earlier, points=0))
        if earlier.overdue:
            self.purse.overdue -= earlier.points
        place = other
        put_off = earlier.put_off + wallet_of.distance(one, other)
        earlier = replace(earlier, put_off=put_off)
        if one.activates is not None:
            place = Place(other.activates, _later(one.expires, other.expires))
            if place != other:
                self._set(lot_key(self._family, other), replace(later, points=0))
                earlier = wallet_of.joined(earlier, later)
        if self.purse.slides_on == one.expires and one.activates is None:
            assert later.expires_at is not None
            self.purse.slides_on = other.expires or 0
            self.purse.slides_at = later.expires_at
        self._put(place, earlier)

    def _put_off(self, place: Place) -> int:
        """Return by how many days points of a lot were put off."""
        if not self.purse.merged:
            return 0
        lot = self._entries.get(LOT, lot_key(self._family, place))
        return 0 if lot is None else lot.put_off

    def _dated(self, points: int | None = None) -> Iterator[tuple[bytes, Lot]]:
        """Iterate over the lots that will lapse, the one that lapses first foremost; or over those
        with the first so many overdue points."""
        if not self.purse.expiring:
            return
        for key in self._dated_keys():
            lot = self._entries.get(LOT, key)
            assert lot is not None
            yield key, lot
            if points is not None and lot.overdue:
                points -= lot.points
                if points <= 0:
                    return

    def _dated_keys(self) -> Iterator[bytes]:
        """Iterate over their keys; the store is not searched for the first one where it is known,
        and most spends take from no other."""
        first, last = active_lots(self._family)
        if self.purse.first:
            key = lot_key(self._family, Place(None, self.purse.first))
            yield key
            first = key + b"\0"
        yield from self._entries.ordered(self._family, first, last)

    def _place(self, key: bytes) -> Place:
        """Return a lot's days, by its key."""
        return lot_days(key[len(self._family) :])

    def _set(self, key: bytes, lot: Lot, before: Lot | None = None) -> None:
        """Keep a lot, or delete it where it is empty, and what is due of it."""
        if before is None:
            before = self._entries.get(LOT, key)
        there = lot if lot.points else None
        self._await(key, _due(before), _due(there))
        self._await(notice_due(key), _next_notice(before), _next_notice(there))
        self._entries.set_in(self._family, key, there)
        place = self._place(key)
        if there is None:
            self.purse.lots -= 1
            if place == (None, self.purse.first):
                self.purse.first = 0
        self._show(place.name, lot)

    def _await(self, due: bytes, was: datetime | None, becomes: datetime | None) -> None:
        """Have a tick look at something at another moment than before."""
        if was == becomes:
            return
        if was is not None:
            self._entries.drop_due(was, due)
        if becomes is not None:
            self._entries.add_due(becomes, due)

    def _show(self, name: str, lot: Lot) -> None:
        lot_id = ids.lot_id(self._context.project, self._context.member_id, self.group, name)
        self._changed[name] = outputs.Lot(
            id=lot_id,
            points=lot.points,
            activates_at=lot.activates_at,
            expires_at=lot.expires_at,
        )


def _due(lot: Lot | None) -> datetime | None:
    """Return when time does something to a lot."""
    return None if lot is None or lot.overdue else lot.activates_at or lot.expires_at


def _next_notice(lot: Lot | None) -> datetime | None:
    return lot.notices[0].at if lot is not None and lot.notices else None


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)

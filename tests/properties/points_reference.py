"""Points once more, from the rules in `schemas/README.md`: `#spending`, `#wallets`, `#voids`.

It shares nothing with the fold but ids, and keeps everything in plain lists: every lot, every hold,
every grant of a period. What is due is found by looking at all there is. Members are named by id.
"""

from calendar import isleap, monthrange
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

from schemas import ids
from tests.properties.log_reference import Refusal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOT, HOLD, NOTICE = "c", "d", "i"
"""What is due of points, in this order where it is due at one moment."""
Days = tuple[date | None, date | None]
"""The local days on which a lot begins to count, where it waits, and lapses, where it does."""


@dataclass
class Lot:
    """Points that begin to count and lapse together."""

    points: int
    activates_at: datetime | None
    expires_at: datetime | None
    slides: bool = False
    overdue: bool = False
    notices: list[tuple[datetime, int]] = field(default_factory=list)
    put_off: int = 0

    @property
    def due(self) -> datetime | None:
        return None if self.overdue else self.activates_at or self.expires_at


@dataclass
class Hold:
    """Points that are reserved."""

    group: str
    points: int
    until: datetime
    answer: dict[str, Any]
    status: str = "open"


@dataclass
class Taken:
    """Points that were taken from a lot, None: from those that live for ever."""

    days: Days | None
    points: int
    expires_at: datetime | None = None
    slides: bool = False


@dataclass
class Done:
    """Points that can be taken back: what something gave into a lot, and when; or what it took from
    lots; and the portions of it that were voided."""

    group: str
    points: int
    days: Days | None = None
    at: datetime | None = None
    took: list[Taken] = field(default_factory=list)
    voided: Fraction = Fraction(0)

    def void(self, portion: Fraction) -> tuple[int, int]:
        """Void a portion more; return how many points are voided before that, and by then.

        Raises:
            Refusal: all portions together are more than the whole.
        """
        if self.voided + portion > 1:
            raise Refusal("over_voided", 409)
        before = self.points_voided
        self.voided += portion
        return before, self.points_voided

    @property
    def points_voided(self) -> int:
        """How many points are voided, half up."""
        return floor(self.points * self.voided + Fraction(1, 2))


@dataclass
class Purse:
    """What a member has in one group. ``slid_until`` is when the lots that lapse together last did
    so, with no grant that kept them."""

    endless: int = 0
    lots: dict[Days, Lot] = field(default_factory=dict)
    slides: tuple[date, datetime] | None = None
    slid_until: datetime | None = None
    held: int = 0
    merged: bool = False

    @property
    def counting(self) -> list[tuple[Days, Lot]]:
        """The lots that count, the one that lapses first foremost."""
        lots = [(days, lot) for days, lot in self.lots.items() if days[0] is None]
        return sorted(lots, key=lambda each: each[0][1] or date.max)

    @property
    def balance(self) -> int:
        return self.endless + sum(lot.points for _, lot in self.counting)

    @property
    def overdue(self) -> int:
        return sum(lot.points for lot in self.lots.values() if lot.overdue)

    @property
    def pending(self) -> int:
        return sum(lot.points for days, lot in self.lots.items() if days[0] is not None)


Due = tuple[int, str, str, tuple[Any, ...]]
"""When something is due, in milliseconds; of which kind it is; the member; and what is due."""


class PointsReference:
    """The points of all members of one project. ``tell`` is called with all that happens, ``zone``
    says by which days a wallet goes for a member."""

    def __init__(
        self,
        tell: Callable[..., None],
        zone: Callable[[dict[str, Any], str], str],
        most_lots: int = 2000,
    ) -> None:
        self._out = tell
        self._zone = zone
        self.most_lots = most_lots
        self.wallets: dict[str, dict[str, Any]] = {}
        self.purses: dict[tuple[str, str], Purse] = {}
        self.holds: dict[tuple[str, str], Hold] = {}
        self.answers: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.earned: Counter[tuple[str, str, str]] = Counter()
        self.ever: list[tuple[str, str, int, datetime]] = []
        """All that was ever earned: by whom, in which group, how many points, and when."""
        self.repeats = 0
        self.done: dict[tuple[str, str, str], Done] = {}
        """What moved points and can be voided, by member, what it is, and its identifier."""
        self.placed: Days | None = None
        """The lot that points were put into last."""

    # What is asked of it.

    def grant(
        self, member: str, group: str, points: int, at: datetime, now: datetime, **said: Any
    ) -> Done:
        """Give points that were earned; return what was given, for it to be taken back."""
        wallet = self._wallet(member, group)
        purse = self.purse(member, group)
        given, cut_by, late = points, None, None
        period = (member, group, period_of(wallet, at))
        if wallet and wallet.get("earnCap"):
            room = max(wallet["earnCap"]["points"] - self.earned[period], 0)
            given, cut_by = (room, "earnCap") if given > room else (given, cut_by)
        if wallet and wallet.get("maxBalance"):
            room = max(wallet["maxBalance"] - purse.balance - purse.pending, 0)
            given, cut_by = (room, "maxBalance") if given > room else (given, cut_by)
        if wallet and wallet.get("earnCap"):
            self.earned[period] += given
        self.placed = None
        if given:
            self.ever.append((member, group, given, at))
            late = self._put_away(purse, wallet, given, at, now)
        if "base" in said:
            said["bonus"] = given - said["base"]
        done = Done(group, given, self.placed, at)
        cut = {"cut": points - given, "cutBy": cut_by}
        self._tell_with(late, "granted", (member, group), given, at, **cut, **said)
        return done

    def command(
        self, command: dict[str, Any], member: str, now: datetime, *, paused: bool = False
    ) -> dict[str, Any]:
        """Do what a command of a member's says; return its answer.

        Raises:
            Refusal: with its code, the points available behind it where they do not suffice.
        """
        type_ = command["type"]
        key = (type_, member, command["uniqueIdentifier"])
        if key in self.answers:
            self.repeats += 1
            return self.answers[key]
        if type_ in ("spend-points", "hold-points") and paused:
            raise Refusal("member_paused", 409)
        act = getattr(self, "_" + type_.replace("-", "_"))
        answer: dict[str, Any] = act(command, member, now)
        self.answers[key] = answer
        return answer

    def dues(self, now: datetime) -> list[Due]:
        """Return what is due by now; what it makes due itself waits for the next time."""
        due: list[Due] = []
        for (member, group), purse in self.purses.items():
            for days, lot in purse.lots.items():
                place = (group, days[0] or date.min, days[1] or date.max)
                if lot.due is not None:
                    due.append((millis(lot.due), LOT, member, (*place, days)))
                if lot.notices:
                    due.append((millis(lot.notices[0][0]), NOTICE, member, (*place, days)))
        for (member, identifier), hold in self.holds.items():
            if hold.status == "open":
                hold_id = ids.hold_id(ids.DEFAULT_PROJECT, member, identifier)
                due.append((millis(hold.until), HOLD, member, (hold_id, identifier)))
        return [each for each in due if each[0] <= millis(now)]

    def fall_due(self, due: Due, now: datetime) -> None:
        """Do what is due."""
        at, what, member, which = due
        if what == HOLD:
            self._lapse(member, which[-1])
        elif what == NOTICE:
            self._give_notice(member, which[0], which[-1], at)
        else:
            self._end_or_begin(member, which[0], which[-1], at, now)

    def purse(self, member: str, group: str) -> Purse:
        """Return what a member has in a group."""
        return self.purses.setdefault((member, group), Purse())

    def _wallet(self, member: str, group: str) -> dict[str, Any] | None:
        """Return the wallet of a group as it is for a member, None where the group has none."""
        wallet = self.wallets.get(group)
        return wallet and {**wallet, "timezone": self._zone(wallet, member)}

    # Commands.

    def _spend_points(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        group = command.get("challengeGroup", "_default")
        self._suffices(member, group, command["points"])
        took = self._take(self.purse(member, group), command["points"])
        self._did(command, member, "spend", group, took)
        self._tell("spent", member, group, -command["points"], now)
        return self._answer(command, member, group, command["points"])

    def _adjust_points(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        group, points = command.get("challengeGroup", "_default"), command["points"]
        purse, late = self.purse(member, group), None
        at = datetime.fromisoformat(command.get("occurredAt") or now.isoformat())
        expires = command.get("expiresAt")
        wallet = self._wallet(member, group)
        if expires and wallet is None:
            raise Refusal("invalid")
        if points < 0:
            self._suffices(member, group, -points)
            self._take(purse, -points)
        elif wallet is None:
            purse.endless += points
        elif expires:
            moment = datetime.fromisoformat(expires)
            day = moment.astimezone(zone_of(wallet)).date()
            late = self._count(purse, wallet, points, (day, moment), now)
        else:
            slides = wallet["expiry"]["type"] == "sliding"
            if slides and not command.get("occurredAt") and purse.slides and purse.slides[1] > now:
                late = self._count(purse, wallet, points, purse.slides, now)
            else:
                late = self._put_away(purse, wallet, points, at, now, waits=False)
        self._tell_with(late, "adjusted", (member, group), points, at)
        return self._answer(command, member, group, points)

    def _hold_points(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        group = command.get("challengeGroup", "_default")
        self._suffices(member, group, command["points"])
        until = now + timedelta(days=7)
        if command.get("until"):
            until = datetime.fromisoformat(command["until"])
        purse = self.purse(member, group)
        purse.held += command["points"]
        answer = self._answer(command, member, group, command["points"]) | {"until": until}
        hold = Hold(group, command["points"], until, answer)
        self.holds[member, command["uniqueIdentifier"]] = hold
        self._tell("held", member, group, command["points"], now)
        return answer

    def _capture_hold(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        hold = self._open_hold(command, member)
        points = command.get("points", hold.points)
        if points > hold.points:
            raise Refusal("invalid")
        purse = self.purse(member, hold.group)
        hold.status = "captured"
        purse.held -= hold.points
        self._did(command, member, "capture", hold.group, self._take(purse, points))
        self._tell("captured", member, hold.group, -points, now)
        if points < hold.points:
            self._tell("released", member, hold.group, hold.points - points, now, why="captured")
        self._lapse_beyond_held(member, hold.group, now)
        return self._answer(command, member, hold.group, points)

    def _release_hold(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        hold = self._open_hold(command, member)
        hold.status = "released"
        self.purse(member, hold.group).held -= hold.points
        self._tell("released", member, hold.group, hold.points, now, why="released")
        self._lapse_beyond_held(member, hold.group, now)
        return self._answer(command, member, hold.group, hold.points)

    def _redeem_points(self, command: dict[str, Any], member: str, now: datetime) -> dict[str, Any]:
        group = command.get("challengeGroup", "_default")
        purse = self.purse(member, group)
        took = self._take(purse, min(command["points"], purse.balance - purse.held))
        self._did(command, member, "redemption", group, took)
        said = {"actionId": "redeem", "userGroupId": "default"}
        self._tell("redeemed", member, group, -command["points"], now, **said)
        return {"balance": purse.balance}

    # Voids.

    def _did(
        self, command: dict[str, Any], member: str, what: str, group: str, took: list[Taken]
    ) -> None:
        points = sum(each.points for each in took)
        key = (member, what, command["uniqueIdentifier"])
        self.done[key] = Done(group, points, took=took)

    def take_back(
        self, member: str, done: Done, portion: Fraction, now: datetime
    ) -> dict[str, int]:
        """Take a portion of what was given back; return how many points were reversed, and how many
        were not there."""
        before, after = done.void(portion)
        taken = self._take_back(member, done, after - before, now)
        lost = after - before - taken
        if after > before and done.at is not None:
            self.ever.append((member, done.group, before - after, done.at))
        self._tell("reversed", member, done.group, -taken, now, notRecovered=lost)
        return {"reversed": taken, "notRecovered": lost}

    def give_back(
        self, member: str, done: Done, portion: Fraction, now: datetime
    ) -> dict[str, int]:
        """Give a portion of what was taken back; return how many points that were."""
        before, after = done.void(portion)
        self._give_back(done, before, after, member, now)
        return {"reversed": after - before, "notRecovered": 0}

    def _take_back(self, member: str, done: Done, points: int, now: datetime) -> int:
        """Take points back from the lot that they were put into, then as a spend; return how many
        were."""
        purse, left = self.purse(member, done.group), points
        for days in self._where_it_is(member, done, purse, now):
            free = purse.balance - purse.held
            if days == (None, None):
                some = min(left, purse.endless, free)
                purse.endless -= some
                left -= some
            elif days in purse.lots:
                lot = purse.lots[days]
                some = min(left, lot.points) if days[0] else min(left, lot.points, free)
                left -= some
                lot.points -= some
                if not lot.points:
                    del purse.lots[days]
        rest = min(left, purse.balance - purse.held)
        self._take(purse, rest)
        return points - left + rest

    def _where_it_is(self, member: str, done: Done, purse: Purse, now: datetime) -> list[Days]:
        """Return where points are: in their lot; in the one that lapses on the same day where they
        count since; in that which all lots moved on to; in the next later one where lots were made
        one."""
        days = done.days or (None, None)
        if days in purse.lots or days == (None, None):
            return [days]
        if days[0] is not None:
            today = now.astimezone(zone_of(self._wallet(member, done.group) or {})).date()
            if purse.merged and days[0] > today:
                return self._next([each for each in purse.lots if each[0]], days)
            days = (None, days[1])
            if days in purse.lots or days[1] is None:
                return [days]
        assert days[1] is not None
        if purse.slides and days[1] < purse.slides[0]:
            return [(None, purse.slides[0])]
        if purse.merged:
            return self._next([each for each in purse.lots if not each[0]], days)
        return []

    def _next(self, lots: list[Days], days: Days) -> list[Days]:
        """Return the first of lots that comes after some days."""

        def order(each: Days) -> tuple[date, date]:
            return each[0] or date.min, each[1] or date.max

        return sorted((each for each in lots if order(each) > order(days)), key=order)[:1]

    def _give_back(self, done: Done, before: int, after: int, member: str, now: datetime) -> None:
        """Put points back where they were taken from, those that were taken last first; what would
        have lapsed meanwhile lapses at once."""
        purse, wallet = self.purse(member, done.group), self._wallet(member, done.group)
        back, late, place = [], [], 0
        for taken in reversed(done.took):
            points = min(place + taken.points, after) - max(place, before)
            place += taken.points
            if points > 0:
                back.append((taken, points))
        for taken, points in reversed(back):
            end = self._end_now(purse, taken)
            if end is None:
                purse.endless += points
            elif end[1] > now:
                self._join(purse, wallet, (None, end[0]), Lot(points, None, end[1]), now)
            else:
                late.append(self._come_late(purse, wallet, points, end, now))
        self._tell_all(late, "reversed", (member, done.group), after - before, now)

    def _end_now(self, purse: Purse, taken: Taken) -> tuple[date, datetime] | None:
        """Return when points lapse that go back to where they were taken from."""
        if taken.days is None or taken.days[1] is None or taken.expires_at is None:
            return None
        end = (taken.days[1], taken.expires_at)
        gone = purse.slid_until is not None and taken.expires_at <= purse.slid_until
        if taken.slides and purse.slides and not gone:
            end = max(end, purse.slides)
        there = purse.lots.get((None, end[0]))
        if there is not None and not there.overdue and there.expires_at is not None:
            end = max(end, (end[0], there.expires_at))
        return end

    def _open_hold(self, command: dict[str, Any], member: str) -> Hold:
        hold = self.holds.get((member, command["holdIdentifier"]))
        if hold is None:
            raise Refusal("unknown_hold")
        if hold.status != "open":
            raise Refusal("hold_closed", 409)
        return hold

    def _suffices(self, member: str, group: str, points: int) -> None:
        purse = self.purse(member, group)
        if points > purse.balance - purse.held:
            said = {"asked": points, "available": purse.balance - purse.held}
            raise Refusal("insufficient_points", 409, **said)

    def _answer(
        self, command: dict[str, Any], member: str, group: str, points: int
    ) -> dict[str, Any]:
        purse = self.purse(member, group)
        return {
            "uniqueIdentifier": command["uniqueIdentifier"],
            "challengeGroup": group,
            "points": points,
            "balance": purse.balance,
            "held": purse.held,
            "available": purse.balance - purse.held,
        }

    # Lots.

    def _put_away(
        self,
        purse: Purse,
        wallet: dict[str, Any] | None,
        points: int,
        at: datetime,
        now: datetime,
        *,
        waits: bool = True,
    ) -> tuple[int, datetime] | None:
        """Put points that were granted at a moment where they belong; return how many of them
        lapse at once, and when they did."""
        self.placed = None
        if wallet is None:
            purse.endless += points
            return None
        starts = None
        if waits and wallet.get("pendingFor"):
            starts = later(at, wallet["pendingFor"], zone_of(wallet))
        if starts is None or starts <= now:
            return self._count(purse, wallet, points, end_of(wallet, starts or at), now)
        end, sliding = end_of(wallet, starts), wallet["expiry"]["type"] == "sliding"
        if sliding:
            self._slide(purse, wallet, end_of(wallet, at), 0, now)
        days = (starts.astimezone(zone_of(wallet)).date(), end and end[0])
        lot = Lot(points, starts, end and end[1], sliding)
        self.placed = days
        self._join(purse, wallet, days, lot, now)
        return None

    def _count(
        self,
        purse: Purse,
        wallet: dict[str, Any],
        points: int,
        end: tuple[date, datetime] | None,
        now: datetime,
    ) -> tuple[int, datetime] | None:
        if end is None:
            purse.endless += points
            return None
        sliding = wallet["expiry"]["type"] == "sliding"
        if sliding and purse.slides:
            end = max(end, purse.slides)
        self.placed = (None, end[0])
        if end[1] <= now:
            return self._come_late(purse, wallet, points, end, now)
        if sliding:
            self._slide(purse, wallet, end, points, now)
        else:
            self._join(purse, wallet, (None, end[0]), Lot(points, None, end[1]), now)
        return None

    def _come_late(
        self,
        purse: Purse,
        wallet: dict[str, Any] | None,
        points: int,
        end: tuple[date, datetime],
        now: datetime,
    ) -> tuple[int, datetime]:
        """Add points whose time is over, as far as they are held; return how many are not.

        Held points are those that lapse first, so that what is not held of all that is over
        lapses, but no more than came.
        """
        lapsing = min(points, max(0, purse.overdue + points - purse.held))
        if lapsing < points:
            kept = Lot(points - lapsing, None, end[1], overdue=True)
            self._join(purse, wallet, (None, end[0]), kept, now)
        return lapsing, end[1]

    def _slide(
        self,
        purse: Purse,
        wallet: dict[str, Any] | None,
        end: tuple[date, datetime] | None,
        points: int,
        now: datetime,
    ) -> None:
        """Move the lots that lapse together to a later end, and add points to them."""
        if end is None:
            return
        if purse.slides and purse.slides > end:
            end = purse.slides
        elif purse.slides:
            moved = purse.lots.get((None, purse.slides[0]))
            if not moved or moved.overdue:
                purse.slid_until = purse.slides[1] if purse.slides[1] <= now else purse.slid_until
            elif purse.slides[0] != end[0]:
                points += moved.points
                del purse.lots[None, purse.slides[0]]
        purse.slides = end
        there = purse.lots.get((None, end[0]))
        if points or (there and not there.overdue and there.expires_at < end[1]):  # type: ignore[operator]
            self._join(purse, wallet, (None, end[0]), Lot(points, None, end[1]), now)

    def _join(
        self, purse: Purse, wallet: dict[str, Any] | None, days: Days, lot: Lot, now: datetime
    ) -> None:
        """Add a lot to that of the same days."""
        there = purse.lots.get(days)
        if there is not None:
            there.points += lot.points
            for name in ("activates_at", "expires_at"):
                ours, theirs = getattr(there, name), getattr(lot, name)
                setattr(there, name, None if None in (ours, theirs) else max(ours, theirs))
            there.slides = there.slides or lot.slides
            there.overdue = there.overdue and lot.overdue
            there.put_off = max(there.put_off, lot.put_off)
            return
        purse.lots[days] = lot
        if days[0] is None and wallet is not None and lot.expires_at is not None:
            local = lot.expires_at.astimezone(zone_of(wallet))
            told = [
                ((local - timedelta(days=number)).astimezone(UTC), number)
                for number in wallet.get("noticeDays", [])
            ]
            lot.notices = sorted(each for each in told if each[0] > now)
        if len(purse.lots) > self.most_lots:
            self._merge(purse, now)

    def _merge(self, purse: Purse, now: datetime) -> None:
        """Make one lot of the two whose days lie closest; one that was made of several has the days
        of all."""
        purse.merged = True
        active = sorted((d for d in purse.lots if d[0] is None), key=lambda d: d[1] or date.max)
        waiting = sorted(
            (d for d in purse.lots if d[0] is not None), key=lambda d: (d[0], d[1] or date.max)
        )
        pairs = []
        places = active + waiting
        before = 10**9
        for number in range(len(places) - 1):
            gap = distance(places[number], places[number + 1])
            pairs.append((gap + purse.lots[places[number]].put_off, before, number))
            before = gap
        apart, _, number = min(pairs)
        one, other = places[number], places[number + 1]
        first, second = purse.lots.pop(one), purse.lots[other]
        first.put_off = apart
        days = other
        if one[0] is not None:
            ends = (one[1], other[1])
            days = (other[0], None if None in ends else max(ends))  # type: ignore[type-var]
            if days != other:
                del purse.lots[other]
                first.points += second.points
                first.activates_at = max(first.activates_at, second.activates_at)  # type: ignore[type-var]
                moments = (first.expires_at, second.expires_at)
                first.expires_at = None if None in moments else max(moments)  # type: ignore[type-var]
                first.slides = first.slides or second.slides
                first.put_off = max(first.put_off, second.put_off)
        elif purse.slides and purse.slides[0] == one[1]:
            purse.slides = (other[1], second.expires_at)  # type: ignore[assignment]
        self._join(purse, None, days, first, now)

    def _take(self, purse: Purse, points: int) -> list[Taken]:
        """Take points from what lapses first; return from which lots."""
        took = []
        for days, lot in purse.counting:
            some = min(points, lot.points)
            slides = purse.slides is not None and purse.slides[0] == days[1] and not lot.overdue
            took.append(Taken(days, some, lot.expires_at, slides))
            lot.points -= some
            points -= some
            if not lot.points:
                del purse.lots[days]
        purse.endless -= points
        return [*took, Taken(None, points)]

    def _lapse_beyond_held(self, member: str, group: str, at: datetime) -> None:
        """Let lapse what is over and not held, the latest first."""
        purse = self.purse(member, group)
        points = left = purse.overdue - purse.held
        for days, lot in reversed(purse.counting):
            if lot.overdue and left > 0:
                some = min(left, lot.points)
                left -= some
                lot.points -= some
                if not lot.points:
                    del purse.lots[days]
        if points > 0:
            self._tell("expired", member, group, -points, at)

    # Time.

    def _lapse(self, member: str, identifier: str) -> None:
        """Release a hold whose time is over."""
        hold = self.holds[member, identifier]
        hold.status = "lapsed"
        self.purse(member, hold.group).held -= hold.points
        self._tell("released", member, hold.group, hold.points, hold.until, why="lapsed")
        self._lapse_beyond_held(member, hold.group, hold.until)

    def _give_notice(self, member: str, group: str, days: Days, at: int) -> None:
        lot = self.purse(member, group).lots.get(days)
        if lot is not None and lot.notices and millis(lot.notices[0][0]) == at:
            moment, number = lot.notices.pop(0)
            self._tell("expiring", member, group, lot.points, moment, noticeDays=number)

    def _end_or_begin(self, member: str, group: str, days: Days, at: int, now: datetime) -> None:
        """Let a lot lapse, as far as it is not held; or let it count."""
        purse = self.purse(member, group)
        lot = purse.lots.get(days)
        if lot is None or lot.due is None or millis(lot.due) != at:
            return
        if lot.activates_at is None:
            assert lot.expires_at is not None
            lapsing = min(lot.points, max(0, purse.overdue + lot.points - purse.held))
            lot.points -= lapsing
            lot.overdue, lot.notices = True, []
            if not lot.points:
                del purse.lots[days]
            if lapsing:
                self._tell("expired", member, group, -lapsing, lot.expires_at)
            return
        del purse.lots[days]
        wallet = self._wallet(member, group)
        if lot.expires_at is None:
            purse.endless += lot.points
        elif lot.slides:
            self._slide(purse, wallet, (days[1], lot.expires_at), lot.points, now)  # type: ignore[arg-type]
        else:
            ends = Lot(lot.points, None, lot.expires_at, put_off=lot.put_off)
            self._join(purse, wallet, (None, days[1]), ends, now)
        self._tell("activated", member, group, lot.points, lot.activates_at)

    def _tell_with(
        self,
        late: tuple[int, datetime] | None,
        type_: str,
        whose: tuple[str, str],
        points: int,
        at: datetime,
        **more: Any,
    ) -> None:
        """Tell of points that came, and then of those of them that lapse at once."""
        self._tell_all([late] if late else [], type_, whose, points, at, **more)

    def _tell_all(
        self,
        late: list[tuple[int, datetime]],
        type_: str,
        whose: tuple[str, str],
        points: int,
        at: datetime,
        **more: Any,
    ) -> None:
        """Tell of points that came, and then of those of them that lapse at once, lot by lot."""
        member, group = whose
        purse = self.purse(member, group)
        purse.endless += sum(lapsing for lapsing, _ in late)
        self._tell(type_, member, group, points, at, **more)
        for lapsing, then in late:
            purse.endless -= lapsing
            if lapsing:
                self._tell("expired", member, group, -lapsing, then)

    def _tell(
        self, type_: str, member: str, group: str, points: int, at: datetime | None, **more: Any
    ) -> None:
        purse = self.purse(member, group)
        about = {"ownedById": member, "challengeGroup": group, "points": points, "at": at}
        if type_ != "expiring":
            about |= {"balance": purse.balance, "held": purse.held}
        if type_ not in ("expiring", "activated", "held", "released"):
            about["pending"] = purse.pending
        more = {name: value for name, value in more.items() if value or name in ALWAYS}
        self._out(f"points.{type_}", **about, **more)


ALWAYS = ("actionId", "userGroupId", "base", "bonus", "boosts", "tier")
"""What is told of a grant also where it is nothing."""


def millis(moment: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return max((moment - EPOCH) // timedelta(milliseconds=1), 0)


def zone_of(wallet: dict[str, Any]) -> ZoneInfo:
    return ZoneInfo(wallet.get("timezone", "UTC"))


def period_of(wallet: dict[str, Any] | None, at: datetime) -> str:
    if not wallet or not wallet.get("earnCap"):
        return ""
    day = at.astimezone(zone_of(wallet)).date()
    week = day.isocalendar()
    return {
        "daily": day.isoformat(),
        "weekly": f"{week.year}W{week.week}",
        "monthly": f"{day.year}-{day.month}",
        "yearly": str(day.year),
    }[str(wallet["earnCap"]["period"])]


def end_of(wallet: dict[str, Any], begins: datetime) -> tuple[date, datetime] | None:
    """Return the day and the moment on which points lapse that count from a moment on."""
    expiry, zone = wallet["expiry"], zone_of(wallet)
    if expiry["type"] == "none":
        return None
    over = later(begins, expiry["after"], zone) if expiry.get("after") else begins
    if expiry["type"] != "calendar" and "T" in expiry["after"]:
        return over.astimezone(zone).date(), over
    day = over.astimezone(zone).date()
    while expiry["type"] == "calendar" and day.isoformat()[5:] not in expiry["dates"]:
        day += timedelta(days=1)
    after = day + timedelta(days=1)
    return day, datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)


def later(moment: datetime, duration: str, zone: ZoneInfo) -> datetime:
    """Return the moment some time later: days and months on the wall, the rest by the clock."""
    amounts: Counter[str] = Counter()
    number, part = "", "date"
    for character in duration[1:]:
        if character.isdigit():
            number += character
        elif character == "T":
            part = "time"
        else:
            amounts[part + character] += int(number)
            number = ""
    local = moment.astimezone(zone)
    year, month, day = local.year, local.month, local.day
    for _ in range(amounts["dateM"] + 12 * amounts["dateY"]):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    assert isleap(year) == (monthrange(year, 2)[1] == 29)
    whole = date(year, month, min(day, monthrange(year, month)[1]))
    whole += timedelta(days=amounts["dateD"] + 7 * amounts["dateW"])
    wall = local.replace(year=whole.year, month=whole.month, day=whole.day)
    by_clock = timedelta(hours=amounts["timeH"], minutes=amounts["timeM"], seconds=amounts["timeS"])
    return wall.astimezone(UTC) + by_clock


def distance(one: Days, other: Days) -> int:
    """Return how many days two lots lie apart; very many where one waits and the other does not."""
    if (one[0] is None) != (other[0] is None):
        return 10**9
    apart = 0
    for ours, theirs in zip(one, other, strict=True):
        if ours is not None and theirs is not None:
            apart += abs((ours - theirs).days)
        elif ours is not theirs:
            apart += 10**9 // 4
    return apart

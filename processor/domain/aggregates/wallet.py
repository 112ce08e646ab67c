"""A wallet: when the points of a group begin to count, when they lapse, and how many there may be.

A lot is what begins to count and lapses on the same local days. The one of points that live for
ever (``ENDLESS``) needs no entry: its points follow from the purse.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.period import (
    LAST_OF_QUARTER,
    QUARTER,
    day_after,
    local_date,
    moment_after,
    period_end,
)
from processor.domain.aggregates.points import Purse
from processor.domain.rules import Wallet
from schemas.durations import Duration
from schemas.instants import EPOCH

EARN_CAP, MAX_BALANCE = "earnCap", "maxBalance"

MAX_LOTS = 2_000
"""Of a member and wallet; beyond that the two lots whose days lie closest become one."""

ENDLESS = "endless"

_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
"""A day before it is still one in every zone; what was granted by then has lapsed whatever."""


class Notice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """That a lot lapses is told at a moment, so many local days before."""

    days: int
    at: datetime


class Lot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One lot. ``activates_at`` is set while it is pending, ``notices`` are those to come;
    ``slides`` tells whether a pending one is of a wallet whose lots lapse together, and ``overdue``
    whether its time came while it was held. ``put_off`` is by how many days some of its points lie
    behind their own days, as there were too many lots."""

    points: int
    expires_at: datetime | None = None
    activates_at: datetime | None = None
    notices: tuple[Notice, ...] = ()
    slides: bool = False
    overdue: bool = False
    put_off: int = 0


class Earned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many points a period gave in a wallet that caps them."""

    points: int = 0


class Place(NamedTuple):
    """The local days (ordinals) on which a lot begins to count, where it is pending, and lapses,
    where it does."""

    activates: int | None
    expires: int | None

    @property
    def name(self) -> str:
        """The days as text: a lot's name within its member and group."""
        return _name(self.activates, self.expires)

    @staticmethod
    def named(name: str) -> "Place":
        """Return the days of a lot that is not ``ENDLESS``, by its name."""
        activates, _, expires = name.partition("/")
        return Place(_day(activates), _day(expires))


@lru_cache(maxsize=4096)
def _name(*days: int | None) -> str:
    return "/".join("" if day is None else date.fromordinal(day).isoformat() for day in days)


def _day(text: str) -> int | None:
    return date.fromisoformat(text).toordinal() if text else None


class Expiry(NamedTuple):
    """When points lapse: the local day (an ordinal), and the moment."""

    day: int
    at: datetime


class Start(NamedTuple):
    """When points that wait begin to count: the local day (an ordinal), and the moment."""

    day: int
    at: datetime


class Steady(NamedTuple):
    """What is true of all moments of a quarter of an hour: what follows of them lies on one local
    day (an ordinal), at one moment, or, where ``at`` is None, as much ``later`` than each."""

    day: int
    at: datetime | None
    later: timedelta


class Offer(NamedTuple):
    """What is granted of the points that were earned, and what cut the rest."""

    points: int
    cut: int = 0
    cut_by: str | None = None


def decide(wallet: Wallet, purse: Purse, earned: int, points: int) -> Offer:
    """Return what the caps of a wallet leave of a grant; ``earned`` is what the period gave."""
    granted, cut_by = points, None
    if wallet.cap is not None and granted > max(wallet.cap - earned, 0):
        granted, cut_by = max(wallet.cap - earned, 0), EARN_CAP
    if wallet.maximum is not None:
        room = max(wallet.maximum - purse.balance - purse.pending, 0)
        if granted > room:
            granted, cut_by = room, MAX_BALANCE
    return Offer(granted, points - granted, cut_by)


@lru_cache(maxsize=4096)
def of_member(wallet: Wallet, timezone: str | None) -> Wallet:
    """Return a wallet as it is for a member that has a time zone, or none."""
    return replace(wallet, timezone=member_of.zone(wallet, timezone))


def activates_at(wallet: Wallet, at: datetime) -> datetime | None:
    """Return when points that were granted at a moment begin to count; None: with it."""
    if wallet.pending is None:
        return None
    try:
        return moment_after(wallet.timezone, max(at, _EARLIEST), wallet.pending)
    except OverflowError:  # beyond the calendar's last year
        return None


def start(wallet: Wallet, at: datetime) -> Start | None:
    """Return the same with its local day."""
    activates = activates_at(wallet, at)
    return None if activates is None else Start(day_of(wallet, activates), activates)


def expiry(wallet: Wallet, begins: datetime) -> Expiry | None:
    """Return when points lapse that begin to count at a moment; None: never."""
    begins = max(begins, _EARLIEST)
    try:
        if wallet.expiry == "calendar":
            return _on_a_date(wallet, begins)
        if wallet.after is not None:
            return _after_a_time(wallet.after, wallet.timezone, begins)
    except OverflowError:  # beyond the calendar's last year
        pass
    return None


def steady(
    wallet: Wallet, rule: Callable[[Wallet, datetime], Expiry | Start | None], quarter: int
) -> Steady | None:
    """Return what ``start`` or ``expiry`` says of all moments of a quarter of an hour, the number
    of those since 1970; None where it does not say the same of all, or nothing."""
    begins = EPOCH + quarter * QUARTER
    first, last = rule(wallet, begins), rule(wallet, begins + LAST_OF_QUARTER)
    if first is None or last is None or first.day != last.day:
        return None
    if first.at == last.at:
        return Steady(first.day, first.at, timedelta(0))
    later = first.at - begins
    return Steady(first.day, None, later) if last.at - first.at == LAST_OF_QUARTER else None


def day_of(wallet: Wallet, moment: datetime) -> int:
    """Return the local day of a moment, as an ordinal."""
    return local_date(wallet.timezone, moment).toordinal()


def notices(wallet: Wallet, expires_at: datetime | None, now: datetime) -> tuple[Notice, ...]:
    """Return the notices that are to be given of a lot that comes now, the first one first."""
    if expires_at is None or not wallet.notices:
        return ()
    zone = ZoneInfo(wallet.timezone)
    try:
        local = expires_at.astimezone(zone)
        given = [
            Notice(days, (local - timedelta(days=days)).astimezone(UTC)) for days in wallet.notices
        ]
    except OverflowError:
        return ()
    return tuple(sorted((n for n in given if n.at > now), key=lambda n: (n.at, -n.days)))


def joined(before: Lot | None, more: Lot) -> Lot:
    """Return one lot of two: it counts and lapses when the later one does, and its notices are
    those of the one that was there."""
    if before is None:
        return more
    put_off = max(before.put_off, more.put_off)
    if before.expires_at == more.expires_at and more.activates_at is None and not before.overdue:
        points = before.points + more.points
        return Lot(points, before.expires_at, None, before.notices, put_off=put_off)
    ends = before.expires_at, more.expires_at
    starts = [at for at in (before.activates_at, more.activates_at) if at is not None]
    return Lot(
        before.points + more.points,
        None if None in ends else max(filter(None, ends)),
        max(starts, default=None),
        before.notices,
        before.slides or more.slides,
        before.overdue and more.overdue,
        put_off,
    )


class _Pair(NamedTuple):
    apart: int
    before: int
    """How far the first lies from the one before it."""
    number: int
    one: Place
    other: Place


def closest(places: Iterable[Place], put_off: Callable[[Place], int]) -> tuple[Place, Place]:
    """Return the two of sorted places, of two at least, whose days lie closest.

    A lot that was made of several has the days of all, so that it lies as much farther from the
    next one as ``put_off`` says: else one lot would take each new day, and never lapse. Of pairs
    that lie equally close it is one that has another lot close before it.
    """
    found: _Pair | None = None
    for pair in sorted(_pairs(places, put_off)):
        if found is not None and pair >= found:
            break  # none that follows lies closer
        whole = pair._replace(apart=pair.apart + put_off(pair.one))
        if found is None or whole < found:
            found = whole
    assert found is not None
    return found.one, found.other


def _pairs(places: Iterable[Place], put_off: Callable[[Place], int]) -> Iterator[_Pair]:
    """Iterate over neighbours, as far apart as their own days are. There may be 2,000, so none are
    taken beyond three of consecutive days: none lie closer."""
    before = _FAR
    for number, (one, other) in enumerate(pairwise(places)):
        apart = distance(one, other)
        yield _Pair(apart, before, number, one, other)
        if apart == before == 1 and not put_off(one):
            return
        before = apart


_FAR = 10**9


def distance(one: Place, other: Place) -> int:
    """Return how many days two places lie apart, those on which lots begin to count included; very
    many where one of them waits and the other does not."""
    if (one.activates is None) != (other.activates is None):
        return _FAR
    return _days(one.activates, other.activates) + _days(one.expires, other.expires)


def _days(one: int | None, other: int | None) -> int:
    if one is None or other is None:
        return 0 if one is other else _FAR // 4
    return abs(one - other)


def _after_a_time(after: Duration, timezone: str, begins: datetime) -> Expiry | None:
    if after.exact:
        at = moment_after(timezone, begins, after)
        return Expiry(local_date(timezone, at).toordinal(), at)
    return _at_the_end(local_date(timezone, begins), after, timezone)


@lru_cache(maxsize=4096)
def _at_the_end(day: date, after: Duration, timezone: str) -> Expiry | None:
    return _end_of(day_after(day, after), timezone)


def _on_a_date(wallet: Wallet, begins: datetime) -> Expiry | None:
    after, timezone = wallet.after, wallet.timezone
    if after is None:
        day = local_date(timezone, begins)
    elif after.exact:
        day = local_date(timezone, moment_after(timezone, begins, after))
    else:
        day = day_after(local_date(timezone, begins), after)
    found = _first_date(wallet.dates, day)
    return None if found is None else _end_of(found, timezone)


@lru_cache(maxsize=4096)
def _first_date(dates: tuple[tuple[int, int], ...], day: date) -> date | None:
    """Return the first of the days of the year that is not before a day."""
    for year in range(day.year, min(day.year + _LEAP_YEARS_APART, date.max.year) + 1):
        for month, number in dates:
            if (month, number) == _LEAP_DAY and not _is_leap(year):
                continue
            found = date(year, month, number)
            if found >= day:
                return found
    return None


_LEAP_DAY = (2, 29)
_LEAP_YEARS_APART = 8


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _end_of(day: date, timezone: str) -> Expiry | None:
    end = period_end("daily", timezone, day.isoformat())
    return None if end is None else Expiry(day.toordinal(), end)

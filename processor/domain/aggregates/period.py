"""Periods: which one a moment belongs to, in a time zone, and when it ends.

Weeks are ISO weeks. A period key is the calendar's own name for the period, so the two halves of
a daylight-saving day are one day.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schemas.durations import Duration
from schemas.instants import EPOCH

ALL_TIME = "all"
QUARTER = timedelta(minutes=15)
"""A zone's clocks are set once in it at most: what is true of its first moment and of its last one
is true of all between, where it differs before and after the clocks are set, or a day ends."""
LAST_OF_QUARTER = QUARTER - timedelta(microseconds=1)


def period_key(period: str, timezone: str, moment: datetime) -> str:
    """Return the key of the period of ``moment`` (UTC): ``2026-11-21``, ``2026-W47``, ``2026-11``,
    ``2026`` or ``all``."""
    if period == "all_time":
        return ALL_TIME
    return _key(period, moment.date() if timezone == "UTC" else local_date(timezone, moment))


def local_date(timezone: str, moment: datetime) -> date:
    """Return the date on the wall at ``moment`` (UTC).

    A conversion costs 3.5 µs and a chunk's records lie close together, so it is remembered by the
    quarter of an hour. Where the date changes within one (the clocks of St. John's went back from
    00:01, old offsets have odd seconds), the moment itself is converted.
    """
    if timezone == "UTC":
        return moment.date()
    return _date_of_quarter(timezone, (moment - EPOCH) // QUARTER) or _convert(timezone, moment)


def local_hour(timezone: str, moment: datetime) -> int:
    """Return the hour on the wall at ``moment`` (UTC), 0 to 23."""
    if timezone == "UTC":
        return moment.hour
    try:
        return moment.astimezone(ZoneInfo(timezone)).hour
    except OverflowError:  # the first or last day of the calendar, on the other side of it
        return moment.hour


@lru_cache(maxsize=4096)  # 4 µs, asked for each progress that begins
def period_end(period: str, timezone: str, key: str) -> datetime | None:
    """Return the first moment (UTC) after the period ``key``, None for all time."""
    if period == "all_time":
        return None
    after = _first_date_after(period, key)
    if after is None:
        return None
    midnight = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC)


def is_key(period: str, key: str) -> bool:
    """Tell whether a text is the key of one of a kind of period."""
    if period == "all_time":
        return key == ALL_TIME
    try:
        first = _first_date(period, key)
    except ValueError:
        return False
    return _key(period, first) == key


def day_after(day: date, duration: Duration) -> date:
    """Return the day some months and days later; a month without such a day has its last one.

    Raises:
        OverflowError: it lies beyond the calendar's last year.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + duration.months, 12)
    if year > date.max.year:
        raise OverflowError
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last)) + timedelta(days=duration.days)


def moment_after(timezone: str, moment: datetime, duration: Duration) -> datetime:
    """Return the moment some time later: months and days on the wall, the rest by the clock.

    Raises:
        OverflowError: it lies beyond the calendar's last year.
    """
    local = moment.astimezone(ZoneInfo(timezone))
    wall = datetime.combine(day_after(local.date(), duration), local.timetz())
    return wall.astimezone(UTC) + timedelta(seconds=duration.seconds)


_A_DAY_OFF = timedelta(hours=20)


@lru_cache(maxsize=1024)
def skipped_days(timezone: str) -> tuple[int, ...]:
    """Return the ordinals of the local days that a zone never had, rising: where it moved to the
    other side of the date line (Samoa had no 30 December 2011)."""
    skipped: list[int] = []
    for year in range(1840, 2100):
        first, after = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        if _offset(timezone, after) - _offset(timezone, first) < _A_DAY_OFF:
            continue
        quarters = (first + timedelta(hours=6 * number) for number in range(4 * 367))
        days = {_convert(timezone, quarter).toordinal() for quarter in quarters}
        skipped += sorted(set(range(min(days), max(days))) - days)
    return tuple(skipped)


def _offset(timezone: str, moment: datetime) -> timedelta:
    return moment.astimezone(ZoneInfo(timezone)).utcoffset() or timedelta(0)


@lru_cache(maxsize=65536)
def _date_of_quarter(timezone: str, quarter: int) -> date | None:
    """Return the date on the wall all through a quarter of an hour, None where it changes."""
    start = EPOCH + quarter * QUARTER
    first = _convert(timezone, start)
    return first if first == _convert(timezone, start + LAST_OF_QUARTER) else None


def _convert(timezone: str, moment: datetime) -> date:
    try:
        return moment.astimezone(ZoneInfo(timezone)).date()
    except OverflowError:  # the first or last day of the calendar, on the other side of it
        return moment.date()


@lru_cache(maxsize=65536)
def _key(period: str, day: date) -> str:
    match period:
        case "daily":
            return day.isoformat()
        case "weekly":
            year, week, _ = day.isocalendar()
            return f"{year:04d}-W{week:02d}"
        case "monthly":
            return f"{day.year:04d}-{day.month:02d}"
        case "yearly":
            return f"{day.year:04d}"
        case _:
            raise ValueError(f"no such period: {period}")


def _first_date(period: str, key: str) -> date:
    match period:
        case "daily":
            return date.fromisoformat(key)
        case "weekly":
            return date.fromisocalendar(int(key[:4]), int(key[6:]), 1)
        case "monthly":
            return date(int(key[:4]), int(key[5:]), 1)
        case _:
            return date(int(key), 1, 1)


def _first_date_after(period: str, key: str) -> date | None:
    try:
        match period:
            case "daily":
                return date.fromisoformat(key) + timedelta(days=1)
            case "weekly":
                return date.fromisocalendar(int(key[:4]), int(key[6:]), 7) + timedelta(days=1)
            case "monthly":
                year, month = int(key[:4]), int(key[5:])
                return date(year + month // 12, month % 12 + 1, 1)
            case "yearly":
                return date(int(key) + 1, 1, 1)
            case _:
                raise KeyError(period)
    except (OverflowError, ValueError):  # beyond the calendar's last year
        return None

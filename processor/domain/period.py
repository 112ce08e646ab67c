"""Periods: which one a moment belongs to, in a time zone, and when it ends.

Weeks are ISO weeks. A period key is the calendar's own name for the period, so the two halves of
a daylight-saving day are one day.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

ALL_TIME = "all"
_QUARTER = 900
_FIRST_MODERN_YEAR = 1972  # before it some zones were off by odd seconds


def period_key(period: str, timezone: str, moment: datetime) -> str:
    """Return the key of the period of ``moment`` (UTC): ``2026-11-21``, ``2026-W47``, ``2026-11``,
    ``2026`` or ``all``."""
    if period == "all_time":
        return ALL_TIME
    return _key(period, local_date(timezone, moment))


def local_date(timezone: str, moment: datetime) -> date:
    """Return the date on the wall at ``moment`` (UTC).

    Since 1972 no zone changes within a quarter of an hour of UTC, so a conversion is remembered by
    the quarter: it costs 3.5 µs otherwise, and a chunk's records lie close together.
    """
    if timezone == "UTC":
        return moment.date()
    if moment.year < _FIRST_MODERN_YEAR:
        return _convert(timezone, moment)
    return _date_of_quarter(timezone, int(moment.timestamp()) // _QUARTER)


def period_end(period: str, timezone: str, key: str) -> datetime | None:
    """Return the first moment (UTC) after the period ``key``, None for all time."""
    if period == "all_time":
        return None
    after = _first_date_after(period, key)
    if after is None:
        return None
    midnight = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(timezone))
    return midnight.astimezone(UTC)


@lru_cache(maxsize=65536)
def _date_of_quarter(timezone: str, quarter: int) -> date:
    return _convert(timezone, datetime.fromtimestamp(quarter * _QUARTER, UTC))


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
                raise ValueError(f"no such period: {period}")
    except OverflowError:
        return None

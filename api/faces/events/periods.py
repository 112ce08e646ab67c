"""Spans of days that statistics and leaderboards ask for.

The caller says which day is today: statistics have days of the project's zone, boards UTC days.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.http.problems import Problem, clipped, invalid

DEFAULT_PERIOD = "7d"
ALL = "all"
ROLLING: Mapping[str, int] = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}
"""Days of a rolling period, today included."""
PERIODS = (*ROLLING, "current_month", "ytd", ALL)
BOARD_TIMEFRAMES: Mapping[str, int] = {"7d": 7, "30d": 30, "365d": 365}
"""Days of a rolling leaderboard, today included."""

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Span:
    """Days from `start` to `end`, both included.

    Attributes:
        name: what was asked for, as an answer repeats it: `7d`, `2025-08`.
        start: None for the first day that there is anything of.
        is_month: whether it is a calendar month, which has aggregates of its own.
    """

    name: str
    start: date | None
    end: date
    is_month: bool = False


def today(timezone: str, now: datetime) -> date:
    """Return the day that it is in a time zone at `now`."""
    return now.astimezone(ZoneInfo(timezone)).date()


def of_stats(parameters: Mapping[str, str], day: date) -> Span:
    """Return the span that the parameters of `/stats/event` name; `day` is today.

    Raises:
        Problem: 400 naming the parameter.
    """
    period = parameters.get("period", DEFAULT_PERIOD)
    if period not in PERIODS:
        raise _not_one_of("period", period, PERIODS)
    if parameters.get("timeframe") != "month" or "month" not in parameters:
        return ending(period, day)
    return month("month", parameters["month"])


def of_board(parameters: Mapping[str, str], day: date) -> Span:
    """Return the span that the parameters of `/leaderboard` name: the month that it is by default.

    Raises:
        Problem: 400 naming the parameter.
    """
    timeframe = parameters.get("timeframe")
    if timeframe is None:
        return month("month", parameters.get("month", f"{day.year:04d}-{day.month:02d}"))
    if "month" in parameters:
        raise invalid("timeframe", "must not be given together with month")
    if timeframe not in BOARD_TIMEFRAMES:
        raise _not_one_of("timeframe", timeframe, tuple(BOARD_TIMEFRAMES))
    return rolling(timeframe, BOARD_TIMEFRAMES[timeframe], day)


def ending(period: str, day: date) -> Span:
    """Return one of `PERIODS`, which all end today."""
    if period in ROLLING:
        return rolling(period, ROLLING[period], day)
    starts = {"current_month": day.replace(day=1), "ytd": day.replace(month=1, day=1), ALL: None}
    return Span(period, starts[period], day)


def rolling(name: str, days: int, day: date) -> Span:
    """Return so many days, of which `day` is the last."""
    return Span(name, day - timedelta(days=days - 1), day)


def month(field: str, text: str) -> Span:
    """Return a calendar month, whole.

    Raises:
        Problem: 400, the text is none.
    """
    match = _MONTH.fullmatch(text)
    if match is None or match[1] == "0000":
        raise invalid(field, f"must be a month as YYYY-MM, not {clipped(text)!r}")
    year, number = int(match[1]), int(match[2])
    last = monthrange(year, number)[1]
    return Span(text, date(year, number, 1), date(year, number, last), is_month=True)


def _not_one_of(field: str, value: str | None, known: tuple[str, ...]) -> Problem:
    return invalid(field, f"must be one of {', '.join(known)}, not {clipped(value or '')!r}")

"""Durations: ISO 8601 (``P12M``, ``P14D``, ``PT1H``), in whole numbers, longer than 0."""

import re
from functools import lru_cache
from typing import NamedTuple

MAX_YEARS = 100
"""Longer is no plan, and would leave the calendar."""

RULE = "must be an ISO 8601 duration in whole numbers, for example P12M, P14D or PT1H"

_DURATION = re.compile(
    r"P(?:([0-9]{1,9})Y)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)


class DurationError(ValueError):
    """The text is no duration that can be used."""


class Duration(NamedTuple):
    """A length of time: months and days by the calendar, then seconds by the clock.

    ``exact`` tells whether it has a time part, which may be 0 seconds.
    """

    months: int
    days: int
    seconds: int
    exact: bool


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> Duration:
    """Return the duration that ``text`` says.

    Raises:
        DurationError: it says none, or one that is not longer than 0 or longer than 100 years.
    """
    found = _DURATION.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise DurationError(RULE)
    years, months, weeks, days, clock, hours, minutes, seconds = (
        part if part is None or part.startswith("T") else int(part) for part in found.groups()
    )
    duration = Duration(
        months=12 * int(years or 0) + int(months or 0),
        days=7 * int(weeks or 0) + int(days or 0),
        seconds=3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0),
        exact=clock is not None,
    )
    if not (duration.months or duration.days or duration.seconds):
        raise DurationError("must be longer than 0")
    in_days = duration.months * 31 + duration.days + duration.seconds // 86_400
    if in_days > MAX_YEARS * 12 * 31:
        raise DurationError(f"must not be longer than {MAX_YEARS} years")
    return duration

"""Points in time: RFC 3339 with an offset in, UTC with a ``Z`` out."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from schemas.wire_values import cut_fraction

# The package's own zones, not the machine's: two machines must fold alike.
zoneinfo.reset_tzpath(())

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
RULE = "must be an RFC 3339 time with an offset, for example 2026-11-21T10:30:00Z"


class InstantError(ValueError):
    """The text is no RFC 3339 time with an offset."""


def parse_instant(text: str) -> datetime:
    """Return the time that ``text`` says, in UTC; a fraction is cut off after the microsecond.

    Raises:
        InstantError: no RFC 3339 time, no offset, or outside of the years 1 to 9999 in UTC.
    """
    try:
        return utc(msgspec.convert(cut_fraction(text), datetime, strict=True))
    except (msgspec.ValidationError, InstantError) as error:
        raise InstantError(RULE) from error


def utc(moment: datetime) -> datetime:
    """Return the same moment in UTC.

    Raises:
        InstantError: naive, or outside of the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise InstantError(RULE)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InstantError(RULE) from error


@lru_cache(maxsize=4096)
def from_millis(millis: int) -> datetime:
    """Return the time of a Kafka timestamp (milliseconds since 1970), exactly.

    Raises:
        InstantError: outside of the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(milliseconds=millis)
    except OverflowError as error:
        raise InstantError("the timestamp is outside of the years 1 to 9999") from error


def millis_of(moment: datetime) -> int:
    """Return the milliseconds since 1970, those before it as 0."""
    return max((moment - EPOCH) // _MILLISECOND, 0)


def format_instant(moment: datetime) -> str:
    """Return RFC 3339 in UTC; a fraction only where there is one."""
    return utc(moment).isoformat().replace("+00:00", "Z")


@cache
def zones() -> frozenset[str]:
    """Return the names of all time zones.

    The list is that of the ``tzdata`` package: a machine may have names of its own (``localtime``),
    under which two machines would fold differently.
    """
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def is_zone(name: str) -> bool:
    """Tell whether the IANA database has a zone of this name."""
    return name in zones()

"""What was logged of each event, and of all together, by day and by hour, less what was voided."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from projections.projection import Combination, Reader, Row, of_events
from schemas.event_types import EVENT_LOGGED, EVENT_VOIDED, EventType

ALL_EVENTS = ""
"""Stands for an event's id where all events of a project are counted together."""

_COUNTS = ("events", "points", "condition_met", "condition_failed", "limit_reached")

_SUMS: Mapping[str, Combination] = dict.fromkeys(_COUNTS, "sum")

Counts = tuple[int, int, int, int, int]


class Logged(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.EventLogged``."""

    event_id: str
    owned_by_id: str
    points: int
    condition_reached: bool
    limit_reached: bool
    local_date: str
    local_hour: int

    def counts(self) -> Counts:
        """Return what one event adds to ``_COUNTS``."""
        met = int(self.condition_reached)
        return (1, self.points, met, 1 - met, int(self.limit_reached))


class Voided(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.EventVoided``."""

    event_id: str
    owned_by_id: str
    voided_portion: Decimal
    points_voided_now: int
    condition_reached: bool
    limit_reached: bool
    local_date: str
    local_hour: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left of the event."""
        return self.voided_portion == 1

    def counts(self) -> Counts:
        """Return what one void adds to ``_COUNTS``."""
        points, met = -self.points_voided_now, int(self.condition_reached)
        if not self.is_whole:
            return (0, points, 0, 0, 0)
        return (-1, points, -met, met - 1, -int(self.limit_reached))


LOGGED = msgspec.json.Decoder(Logged)
VOIDED = msgspec.json.Decoder(Voided)


def _by(rows: Callable[[str, Logged | Voided], Iterable[Row]]) -> Mapping[EventType, Reader]:
    """Return the readers that make such rows of an event, and of its voids."""
    return {
        EVENT_LOGGED: lambda event: rows(event.project, LOGGED.decode(event.data)),
        EVENT_VOIDED: lambda event: rows(event.project, VOIDED.decode(event.data)),
    }


def _daily(project: str, log: Logged | Voided) -> Iterable[Row]:
    """What it adds to the event's own day, and to that of all events."""
    counts = log.counts()
    for event_id in (log.event_id, ALL_EVENTS):
        yield (project, event_id, log.local_date, *counts)


def _hourly(project: str, log: Logged | Voided) -> Iterable[Row]:
    """What it adds to the event's hour."""
    yield (project, log.event_id, log.local_date, log.local_hour, *log.counts())


def _hourly_all(project: str, log: Logged | Voided) -> Iterable[Row]:
    """One more in its hour, or one less."""
    count, *_ = log.counts()
    if count:
        yield (project, log.local_date, log.local_hour, count)


_DAY = ("project", "event_id", "local_date")
_HOUR = ("project", "event_id", "local_date", "local_hour")
_HOUR_OF_ALL = ("project", "local_date", "local_hour")

EVENT_STATS_DAILY = of_events(
    "event_stats_daily",
    columns=(*_DAY, *_COUNTS),
    key=_DAY,
    combined=_SUMS,
    events=_by(_daily),
)
EVENT_STATS_HOURLY = of_events(
    "event_stats_hourly",
    columns=(*_HOUR, *_COUNTS),
    key=_HOUR,
    combined=_SUMS,
    events=_by(_hourly),
)
EVENT_STATS_HOURLY_ALL = of_events(
    "event_stats_hourly_all",
    columns=(*_HOUR_OF_ALL, "events"),
    key=_HOUR_OF_ALL,
    combined={"events": "sum"},
    events=_by(_hourly_all),
)
"""A project has many events: to add up their hours for a global answer would take too long."""

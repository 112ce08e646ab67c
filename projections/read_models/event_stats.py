"""What was logged of each event, and of all together, by day and by hour."""

from collections.abc import Iterable, Mapping

import msgspec

from projections.projection import Combination, Row, of_events
from schemas.event_types import EVENT_LOGGED
from schemas.outputs import Envelope

ALL_EVENTS = ""
"""Stands for an event's id where all events of a project are counted together."""

_COUNTS = ("events", "points", "condition_met", "condition_failed", "limit_reached")

_SUMS: Mapping[str, Combination] = dict.fromkeys(_COUNTS, "sum")


class Logged(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.EventLogged``."""

    event_id: str
    owned_by_id: str
    points: int
    condition_reached: bool
    limit_reached: bool
    local_date: str
    local_hour: int

    def counts(self) -> Row:
        """Return what one event adds to ``_COUNTS``."""
        met = int(self.condition_reached)
        return (1, self.points, met, 1 - met, int(self.limit_reached))


LOGGED = msgspec.json.Decoder(Logged)


def _daily(event: Envelope) -> Iterable[Row]:
    """What an event adds to its own day, and to that of all events."""
    log = LOGGED.decode(event.data)
    counts = log.counts()
    for event_id in (log.event_id, ALL_EVENTS):
        yield (event.project, event_id, log.local_date, *counts)


def _hourly(event: Envelope) -> Iterable[Row]:
    """What an event adds to its hour."""
    log = LOGGED.decode(event.data)
    yield (event.project, log.event_id, log.local_date, log.local_hour, *log.counts())


def _hourly_all(event: Envelope) -> Iterable[Row]:
    """One more in its hour."""
    log = LOGGED.decode(event.data)
    yield (event.project, log.local_date, log.local_hour, 1)


_DAY = ("project", "event_id", "local_date")
_HOUR = ("project", "event_id", "local_date", "local_hour")
_HOUR_OF_ALL = ("project", "local_date", "local_hour")

EVENT_STATS_DAILY = of_events(
    "event_stats_daily",
    columns=(*_DAY, *_COUNTS),
    key=_DAY,
    combined=_SUMS,
    events={EVENT_LOGGED: _daily},
)
EVENT_STATS_HOURLY = of_events(
    "event_stats_hourly",
    columns=(*_HOUR, *_COUNTS),
    key=_HOUR,
    combined=_SUMS,
    events={EVENT_LOGGED: _hourly},
)
EVENT_STATS_HOURLY_ALL = of_events(
    "event_stats_hourly_all",
    columns=(*_HOUR_OF_ALL, "events"),
    key=_HOUR_OF_ALL,
    combined={"events": "sum"},
    events={EVENT_LOGGED: _hourly_all},
)
"""A project has many events: to add up their hours for a global answer would take too long."""

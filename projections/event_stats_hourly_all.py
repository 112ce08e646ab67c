"""``event_stats_hourly_all``: how many events of any kind were logged in each hour.

A project has many events; to add up their hours for a global answer would take too long.
"""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Row, of_events
from schemas.event_types import EVENT_LOGGED
from schemas.outputs import Envelope

KEY = ("project", "local_date", "local_hour")


def logged(event: Envelope) -> Iterable[Row]:
    """One more in its hour."""
    log = event_counts.LOGGED.decode(event.data)
    yield (event.project, log.local_date, log.local_hour, 1)


PROJECTION = of_events(
    table="event_stats_hourly_all",
    columns=(*KEY, "events"),
    key=KEY,
    combined={"events": "sum"},
    events={EVENT_LOGGED: logged},
)

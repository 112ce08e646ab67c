"""``event_stats_hourly``: what was logged of each event in each hour."""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Row, of_events
from schemas.event_types import EVENT_LOGGED
from schemas.outputs import Envelope

KEY = ("project", "event_id", "local_date", "local_hour")


def logged(event: Envelope) -> Iterable[Row]:
    """What an event adds to its hour."""
    log = event_counts.LOGGED.decode(event.data)
    yield (event.project, log.event_id, log.local_date, log.local_hour, *log.counts())


PROJECTION = of_events(
    table="event_stats_hourly",
    columns=(*KEY, *event_counts.COLUMNS),
    key=KEY,
    combined=event_counts.SUMS,
    events={EVENT_LOGGED: logged},
)

"""``event_stats_daily``: what was logged of each event, and of all together, on each day."""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Row, of_events
from schemas.event_types import EVENT_LOGGED
from schemas.outputs import Envelope

KEY = ("project", "event_id", "local_date")


def logged(event: Envelope) -> Iterable[Row]:
    """What an event adds to its own day, and to that of all events."""
    log = event_counts.LOGGED.decode(event.data)
    counts = log.counts()
    for event_id in (log.event_id, event_counts.ALL_EVENTS):
        yield (event.project, event_id, log.local_date, *counts)


PROJECTION = of_events(
    table="event_stats_daily",
    columns=(*KEY, *event_counts.COLUMNS),
    key=KEY,
    combined=event_counts.SUMS,
    events={EVENT_LOGGED: logged},
)

"""``event_stats_daily``: what was logged of each event, and of all together, on each day."""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Projection, Row, by_type
from schemas.outputs import EVENT_LOGGED, Envelope
from schemas.topics import EVENT_RESULTS

KEY = ("project", "event_id", "local_date")


def logged(event: Envelope) -> Iterable[Row]:
    """What an event adds to its own day, and to that of all events."""
    log = event_counts.LOGGED.decode(event.data)
    counts = log.counts()
    for event_id in (log.event_id, event_counts.ALL_EVENTS):
        yield (event.project, event_id, log.local_date, *counts)


PROJECTION = Projection(
    table="event_stats_daily",
    topics=(EVENT_RESULTS,),
    types=frozenset({EVENT_LOGGED}),
    columns=(*KEY, *event_counts.COLUMNS),
    key=KEY,
    combined=event_counts.SUMS,
    rows=by_type({EVENT_LOGGED: logged}),
)

"""``event_stats_hourly``: what was logged of each event in each hour."""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Projection, Row, by_type
from schemas.outputs import EVENT_LOGGED, Envelope
from schemas.topics import EVENT_RESULTS

KEY = ("project", "event_id", "local_date", "local_hour")


def logged(event: Envelope) -> Iterable[Row]:
    """What an event adds to its hour."""
    log = event_counts.LOGGED.decode(event.data)
    yield (event.project, log.event_id, log.local_date, log.local_hour, *log.counts())


PROJECTION = Projection(
    table="event_stats_hourly",
    topics=(EVENT_RESULTS,),
    types=frozenset({EVENT_LOGGED}),
    columns=(*KEY, *event_counts.COLUMNS),
    key=KEY,
    combined=event_counts.SUMS,
    rows=by_type({EVENT_LOGGED: logged}),
)

"""``event_stats_hourly_all``: how many events of any kind were logged in each hour.

A project has many events; to add up their hours for a global answer would take too long.
"""

from collections.abc import Iterable

from projections import event_counts
from projections.projection import Projection, Row, by_type
from schemas.outputs import EVENT_LOGGED, Envelope
from schemas.topics import EVENT_RESULTS

KEY = ("project", "local_date", "local_hour")


def logged(event: Envelope) -> Iterable[Row]:
    """One more in its hour."""
    log = event_counts.LOGGED.decode(event.data)
    yield (event.project, log.local_date, log.local_hour, 1)


PROJECTION = Projection(
    table="event_stats_hourly_all",
    topics=(EVENT_RESULTS,),
    types=frozenset({EVENT_LOGGED}),
    columns=(*KEY, "events"),
    key=KEY,
    combined={"events": "sum"},
    rows=by_type({EVENT_LOGGED: logged}),
)

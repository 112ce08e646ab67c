"""``event_definitions``: the events in force, each with its whole definition."""

from projections.in_force import in_force
from projections.json_text import storable
from schemas.definitions import Event, encode


def _definition(event: Event) -> str:
    return storable(encode(event).decode())


PROJECTION = in_force(
    "event_definitions",
    Event,
    ("title", "description", "status", "type", "challenge_group"),
    id_column="event_id",
    computed={"definition": _definition},
)

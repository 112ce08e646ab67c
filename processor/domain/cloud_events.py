"""Making the CloudEvent of something that happened."""

from datetime import datetime
from functools import lru_cache

from processor.domain.effects import Effects
from schemas import outputs
from schemas.event_types import EventType

source_of = lru_cache(maxsize=4096)(outputs.source_of)


def emit(
    effects: Effects,
    event_type: EventType,
    id_: str,
    project: str,
    *,
    member_id: str,
    at: datetime,
    data: outputs.Data,
    sequence: int,
) -> None:
    """Add an event to a chunk's effects: onto its type's topic, keyed by its member.

    Raises:
        TooMuch: it is too large; the input is to be taken back.
    """
    event = outputs.CloudEvent(
        id=id_,
        source=source_of(project),
        type=event_type.name,
        subject=member_id,
        time=at,
        sequence=outputs.sequence_text(sequence),
        data=data,
    )
    effects.add(event_type.topic, member_id.encode(), outputs.encode(event))

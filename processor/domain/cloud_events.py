"""Making the CloudEvent of something that happened."""

from datetime import datetime
from functools import lru_cache

from processor.domain.effects import Effects
from schemas import outputs

source_of = lru_cache(maxsize=4096)(outputs.source_of)


def emit(
    effects: Effects,
    topic: str,
    kind: str,
    id_: str,
    project: str,
    *,
    member_id: str,
    at: datetime,
    data: outputs.Data,
    sequence: int,
) -> None:
    """Add an event to a chunk's effects, keyed by its member.

    Raises:
        TooMuch: it is too large; the input is to be taken back.
    """
    event = outputs.CloudEvent(
        id=id_,
        source=source_of(project),
        type=kind,
        subject=member_id,
        time=at,
        sequence=outputs.sequence_text(sequence),
        data=data,
    )
    effects.add(topic, member_id.encode(), outputs.encode(event))

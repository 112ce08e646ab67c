"""The record that is being folded, and the CloudEvents that come of it."""

from datetime import datetime
from functools import lru_cache

import msgspec

from processor.domain.effects import Effects
from processor.domain.inputs import Input
from processor.domain.trace import Trace
from schemas import outputs
from schemas.event_types import EventType

_source_of = lru_cache(maxsize=4096)(outputs.source_of)
_sequence_text = lru_cache(maxsize=1)(outputs.sequence_text)  # an input leads to several events


class RecordContext(msgspec.Struct, frozen=True, gc=False):
    """Whose record is folded, when it was recorded, and its place in line.

    ``recorded_at`` is the record's timestamp, and ``present`` what time it is: the same, but where
    the member goes by its project's own clock. ``sequence`` is the number of inputs that its
    partition folded before it.
    """

    effects: Effects
    project: str
    member_id: str
    recorded_at: datetime
    present: datetime
    sequence: int
    source: Input | None = None
    """The record as it lay first; a tick's dues have none."""
    trace: Trace | None = None
    """Where its sender wants to know which rules were looked at."""

    def repeat(self) -> None:
        """Count the record as one that was folded before."""
        self.effects.count("duplicates")
        if self.trace is not None:
            self.trace.repeat()

    def emit(
        self,
        event_type: EventType,
        data: outputs.Data,
        *,
        at: datetime,
        record_id: str | None = None,
        version: int = 0,
    ) -> None:
        """Publish that something happened to the member at ``at``.

        The event's id is that of the ``version``-th event of its type about a record: the one in
        ``data``, unless ``record_id`` names another.

        Raises:
            TooMuch: the event is too large; the input is to be taken back.
        """
        about = data.id if record_id is None else record_id
        event = outputs.CloudEvent(
            id=event_type.event_id(self.project, about, version),
            source=_source_of(self.project),
            type=event_type.name,
            subject=self.member_id,
            time=at,
            sequence=_sequence_text(self.sequence),
            data=data,
        )
        self.effects.add(event_type.topic, self.member_id.encode(), outputs.encode(event))

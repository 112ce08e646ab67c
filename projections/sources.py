"""What the topics hold, as projections read it: CloudEvents, dead letters, definitions."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from schemas import definitions as models
from schemas import ids, outputs, topics
from schemas.dead_letter import DeadLetter
from schemas.instants import InstantError, from_millis
from schemas.outputs import Envelope

logger = logging.getLogger(__name__)


class UndecodableOutput(Exception):
    """One of our own records cannot be read: a bug, or a processor newer than this projector.

    To go on would leave a hole in a read model, so the projector stops.
    """


class KafkaRecord(Protocol):
    """What is used of a client's record."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def timestamp(self) -> int:
        """Its timestamp, in milliseconds."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One record of ``definitions``; ``definition`` is None where it was deleted."""

    project: str
    kind: str
    id: str
    definition: models.Definition | None
    offset: int
    at: datetime


Source = Envelope | DeadLetter | DefinitionChange


def read_event(record: KafkaRecord) -> Envelope:
    """Return the CloudEvent in a record.

    Raises:
        msgspec.MsgspecError: there is none.
    """
    return outputs.decode(record.value or b"")


_DEAD_LETTER = msgspec.json.Decoder(DeadLetter)


def read_dead_letter(record: KafkaRecord) -> DeadLetter:
    """Return the dead letter in a record.

    Raises:
        msgspec.MsgspecError: there is none.
    """
    return _DEAD_LETTER.decode(record.value or b"")


def read_definition(record: KafkaRecord) -> DefinitionChange | None:
    """Return what a record of ``definitions`` says; None, and a log line, where it says nothing.

    Anyone may write there, and the processor skips the same records: what was in force stays.
    """
    try:
        project, kind, definition_id = models.split_key((record.key or b"").decode())
        definition = _definition(kind, definition_id, record.value)
        at = from_millis(record.timestamp)
    except (models.DefinitionError, UnicodeDecodeError, InstantError) as error:
        logger.warning("definitions, offset %d: skipped: %s", record.offset, error)
        return None
    return DefinitionChange(project, kind, definition_id, definition, record.offset, at)


def _definition(kind: str, definition_id: str, value: bytes | None) -> models.Definition | None:
    if value is None:
        return None
    try:
        fields = models.decode_numbers(value)
    except (msgspec.DecodeError, RecursionError) as error:
        raise models.DefinitionError([("", f"no JSON: {error}")]) from error
    if not isinstance(fields, Mapping):
        raise models.DefinitionError([("", "must be a JSON object")])
    known = {name: v for name, v in fields.items() if name not in ("kind", "project")}
    definition = models.parse(kind, known)
    if definition.id != definition_id:
        raise models.DefinitionError([("id", "must be the id in the key")])
    return definition


def names_a_uuid(change: DefinitionChange) -> bool:
    """Tell whether a definition's id is a UUID; a deletion may name anything."""
    return ids.is_uuid(change.id)


READERS: Mapping[str, Callable[[KafkaRecord], Source | None]] = {
    topics.DEFINITIONS: read_definition,
    topics.DEAD_LETTERS: read_dead_letter,
}
"""How topics that are not CloudEvents are read."""


def reader_of(topic: str) -> Callable[[KafkaRecord], Source | None]:
    """Return how records of a topic are read."""
    return READERS.get(topic, read_event)

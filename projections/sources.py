"""What the topics hold, as projections read it: CloudEvents, dead letters, definitions."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from projections.projection import Forgotten
from schemas import outputs, topics
from schemas.dead_letter import PlacedLetter
from schemas.definition_records import DefinitionChange, actor_of, read_change
from schemas.definitions import DefinitionError
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

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers."""


Source = Envelope | Forgotten | PlacedLetter | DefinitionChange


def read_event(record: KafkaRecord) -> Envelope:
    """Return the CloudEvent in a record.

    Raises:
        msgspec.MsgspecError: there is none.
    """
    return outputs.decode(record.value or b"")


def read_member_event(record: KafkaRecord) -> Envelope | Forgotten:
    """Return the CloudEvent in a record of ``member-events``, or who was forgotten.

    Raises:
        ValueError: there is neither.
    """
    if record.value is not None:
        return read_event(record)
    project = dict(record.headers).get(outputs.PROJECT)
    if project is None or record.key is None:
        raise ValueError("a record without value that does not tell which member was forgotten")
    return Forgotten(project.decode(), record.key.decode())


_DEAD_LETTER = msgspec.json.Decoder(PlacedLetter)


def read_dead_letter(record: KafkaRecord) -> PlacedLetter:
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
        change = read_change(record.key, record.value, record.offset, record.timestamp)
    except DefinitionError as error:
        logger.warning("definitions, offset %d: skipped: %s", record.offset, error)
        return None
    actor = actor_of(record.headers)
    return change if actor is None else replace(change, actor=actor)


READERS: Mapping[str, Callable[[KafkaRecord], Source | None]] = {
    topics.DEFINITIONS: read_definition,
    topics.DEAD_LETTERS: read_dead_letter,
    topics.MEMBER_EVENTS: read_member_event,
}
"""How topics that are not CloudEvents are read."""


def reader_of(topic: str) -> Callable[[KafkaRecord], Source | None]:
    """Return how records of a topic are read."""
    return READERS.get(topic, read_event)

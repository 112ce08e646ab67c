"""The records of ``definitions`` as every reader understands them: workers, API and projections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from schemas.definitions import (
    Definition,
    DefinitionError,
    decode_numbers,
    parse,
    split_key,
)
from schemas.instants import InstantError, from_millis

ACTOR = "x-actor"
"""The header that says who wrote a record: of the record, and of a request to the API."""
MAX_ACTOR = 128
"""Characters."""


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One record: a definition was written, or deleted (``definition`` is None).

    ``offset`` is the record's, and the definition's version; ``at`` is its timestamp; ``actor`` is
    who wrote it, where the record says so.
    """

    project: str
    kind: str
    id: str
    definition: Definition | None
    offset: int
    at: datetime
    actor: str | None = None


def read_change(
    key: bytes | None, value: bytes | None, offset: int, millis: int
) -> DefinitionChange:
    """Return what a record says; ``millis`` is its timestamp.

    Raises:
        DefinitionError: it says nothing that can be taken. Anyone may write there; what was in
            force stays in force.
    """
    project, kind, definition_id = split_key(_key_text(key))
    try:
        at = from_millis(millis)
    except InstantError as error:
        raise DefinitionError([("", str(error))]) from error
    if value is None:
        return DefinitionChange(project, kind, definition_id, None, offset, at)
    definition = parse(kind, _fields(value))
    if definition.id != definition_id:
        raise DefinitionError([("id", "must be the id in the key")])
    return DefinitionChange(project, kind, definition_id, definition, offset, at)


def is_actor(text: str) -> bool:
    """Tell whether a text may name who writes a definition."""
    return 0 < len(text) <= MAX_ACTOR and text.isprintable()


def actor_headers(actor: str | None) -> list[tuple[str, bytes]]:
    """Return the headers of a record that this actor writes."""
    return [] if actor is None else [(ACTOR, actor.encode())]


def actor_of(headers: Sequence[tuple[str, bytes | None]]) -> str | None:
    """Return who a record says wrote it; None where it does not say, or says what is no name:
    anyone may write there."""
    named = next((value for name, value in headers if name == ACTOR), None)
    try:
        actor = (named or b"").decode()
    except UnicodeDecodeError:
        return None
    return actor if is_actor(actor) else None


def _key_text(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError as error:
        raise DefinitionError([("", "the key must be project/kind/id")]) from error


def _fields(value: bytes) -> Mapping[str, Any]:
    try:
        fields = decode_numbers(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError([("", f"no JSON: {error}")]) from error
    if not isinstance(fields, Mapping):
        raise DefinitionError([("", "must be a JSON object")])
    return {name: v for name, v in fields.items() if name not in ("kind", "project")}

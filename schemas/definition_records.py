"""The records of ``definitions`` as every reader understands them: workers, API and projections."""

from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One record: a definition was written, or deleted (``definition`` is None).

    ``offset`` is the record's, and the definition's version; ``at`` is its timestamp.
    """

    project: str
    kind: str
    id: str
    definition: Definition | None
    offset: int
    at: datetime


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

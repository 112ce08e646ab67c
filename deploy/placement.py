"""Whose record is this? The member that a value names, and with it key and partition.

The processor forwards what lies on another partition than its member's. What this package sends
itself lies right from the start.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from schemas import ids
from schemas.topics import (
    ACTIVITY_LOGS,
    CHALLENGE_LOGS,
    EVENTS,
    MEMBER_COMMANDS,
    partition_for,
)

_CACHED_MEMBERS = 500_000


class Unplaceable(ValueError):
    """The value is no JSON object, or names no member."""


class _Member(msgspec.Struct, rename="camel"):
    external_id: str | None = None


class Names(msgspec.Struct, rename="camel"):
    """The fields of an input record that say whose it is; decoding checks the rest as JSON."""

    project: str | None = None
    type: str | None = None
    owned_by_id: str | None = None
    owned_by: _Member | None = None
    user_id: str | None = None
    external_id: str | None = None
    member_id: str | None = None


class Place(NamedTuple):
    """Where a record belongs: its key (a member id) and partition; `project` as the value has it,
    None where it has none."""

    key: bytes
    partition: int
    project: str | None


class Placement:
    """Places the records of one input topic; remembers members, for one has many records.

    Args:
        topic: the topic's name in the catalogue, one of `PLACEABLE`.
        partitions: how many partitions it has.
        project: the project of values that name none.
    """

    def __init__(self, topic: str, partitions: int, project: str = ids.DEFAULT_PROJECT) -> None:
        self._name = PLACEABLE[topic]
        self._partitions = partitions
        self._project = project
        self._decoder = msgspec.json.Decoder(Names)
        self._known: dict[tuple[str, str], tuple[bytes, int]] = {}

    def place(self, value: bytes) -> Place:
        """Return where the record with this value belongs.

        Raises:
            Unplaceable: it is no JSON object, or names no member.
        """
        try:
            names = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unplaceable(_explain(error)) from error
        member, external = self._name(names)
        if member:
            return self._at("", member, names.project)
        if external:
            return self._at(names.project or self._project, external, names.project)
        raise Unplaceable("names no member")

    def _at(self, project: str, name: str, given: str | None) -> Place:
        """Place by (project, external id), or by a member id where ``project`` is empty."""
        found = self._known.get((project, name))
        if found is None:
            try:
                member = ids.member_id(project, name) if project else name.lower()
                found = member.encode(), partition_for(member, self._partitions)
            except UnicodeEncodeError as error:
                raise Unplaceable("names a member with a lone surrogate") from error
            if len(self._known) >= _CACHED_MEMBERS:
                self._known.clear()
            self._known[project, name] = found
        return Place(found[0], found[1], given)


def _of_log(names: Names) -> tuple[str | None, str | None]:
    return names.owned_by_id, names.owned_by.external_id if names.owned_by else None


def _of_user(names: Names) -> tuple[str | None, str | None]:
    return None, names.user_id


def _of_command(names: Names) -> tuple[str | None, str | None]:
    if names.type == "upsert-member":
        return None, names.external_id
    return names.member_id, names.user_id


PLACEABLE: Mapping[str, Callable[[Names], tuple[str | None, str | None]]] = {
    CHALLENGE_LOGS: _of_log,
    EVENTS: _of_user,
    ACTIVITY_LOGS: _of_user,
    MEMBER_COMMANDS: _of_command,
}
"""The topics that producers write, and how their values name a member: (id, external id)."""


def _explain(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"is not a record: {error}"
    return f"is not a JSON object: {error}"

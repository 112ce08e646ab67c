"""Find a record's member, and from it the Kafka key and partition.

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


class Home(NamedTuple):
    """Where a record belongs: its key, a member id, and its partition."""

    key: bytes
    partition: int


class Homes:
    """The homes of members in a topic; remembers them, for a member has many records."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._known: dict[str, Home] = {}

    def of(self, member: str) -> Home:
        """Return the home of the records of the member with an id."""
        home = self._known.get(member)
        if home is None:
            if len(self._known) >= _CACHED_MEMBERS:
                self._known.clear()
            home = Home(member.encode(), partition_for(member, self._partitions))
            self._known[member] = home
        return home


class Placement:
    """Places the records of one input topic.

    Args:
        topic: the topic's name in the catalogue, one of `PLACEABLE`.
        partitions: how many partitions it has.
    """

    def __init__(self, topic: str, partitions: int) -> None:
        self._name = PLACEABLE[topic]
        self._homes = Homes(partitions)
        self._decoder = msgspec.json.Decoder(Names)

    def place(self, value: bytes) -> Home:
        """Return where the record with this value belongs.

        Raises:
            Unplaceable: it is no JSON object, or names no member.
        """
        try:
            names = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unplaceable(_explain(error)) from error
        member, external = self._name(names)
        if not (member or external):
            raise Unplaceable("names no member")
        try:
            if member:
                return self._homes.of(member.lower())
            project = names.project or ids.DEFAULT_PROJECT
            return self._homes.of(ids.member_id(project, external or ""))
        except UnicodeEncodeError as error:
            raise Unplaceable("names a member with a lone surrogate") from error


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

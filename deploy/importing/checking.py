"""Holding a line against its record's schema before it is sent: the processor's own reading.

The topics keep their records for ever, so a file in the wrong shape should end at its first line,
not as a million dead letters. What needs the definitions or the state is judged by the processor
alone: whether the challenge is known, whether it sums.
"""

from collections.abc import Callable, Mapping, Set
from datetime import datetime

import msgspec

from processor.domain.aggregates.event import decode_metadata
from processor.domain.inputs import Input, Read, Refused, not_ahead, read
from schemas.instants import from_millis
from schemas.placement import Home, Homes
from schemas.records import ActivityLog, AdjustPoints, ChallengeLog, Event


class BadRecord(ValueError):
    """The processor would refuse the value; the message names the field and says why."""


class _ProjectOnly(msgspec.Struct):
    project: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def with_project(value: bytes, project: str) -> bytes:
    """Return a JSON object with ``project`` where it names none; anything else as it is.

    ``null`` counts as absent. A decoder takes the last of two fields with one name, so the project
    is written behind it.
    """
    try:
        given = msgspec.json.decode(value, type=_ProjectOnly).project
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return value  # `RecordCheck.check` says what is wrong with it
    if given is msgspec.UNSET:
        return f'{{"project":"{project}",'.encode() + value.lstrip()[1:]
    if bytes(given).strip() == b"null":
        return value.rstrip()[:-1] + f',"project":"{project}"}}'.encode()
    return value


class RecordCheck:
    """Reads the records of one input topic as the processor will, and finds where they belong.

    Args:
        topic: the topic's name in the catalogue, one of `schemas.placement.PLACEABLE`.
        partitions: how many partitions it has.
        millis: the timestamp that the records will have, in milliseconds since 1970.
        manual: the projects whose clock is moved by hand: the processor alone knows what it shows.
    """

    def __init__(
        self, topic: str, partitions: int, millis: int, manual: Set[str] = frozenset()
    ) -> None:
        self._topic = topic
        self._homes = Homes(partitions)
        self._millis = millis
        self._manual = manual

    def check(self, value: bytes) -> Home:
        """Return where the record with this value belongs.

        Raises:
            BadRecord: as ``read``.
        """
        return self.home(self.read(value))

    def home(self, found: Read) -> Home:
        """Return where a record belongs."""
        return self._homes.of(found.member_id)

    def read(self, value: bytes) -> Read:
        """Return the record with this value.

        Raises:
            BadRecord: it is not of its topic's shape, or names no possible member.
        """
        source = Input(self._topic, 0, 0, self._millis, None, value, (), False)
        try:
            found = read(source)
            if found.project not in self._manual:
                _check_time(found)
            if isinstance(found.record, Event):
                decode_metadata(found.record.metadata)
        except Refused as refused:
            field = f"{refused.field}: " if refused.field else ""
            raise BadRecord(f"{field}{refused.message}") from refused
        return found


def happened_at(found: Read) -> datetime | None:
    """Return a record's own time, None where it says none."""
    return _moment(found)[1]


_MOMENT: Mapping[type, tuple[str, Callable[..., datetime | None]]] = {
    ChallengeLog: ("activityAt", lambda log: log.activity_at),
    Event: ("occurredAt", lambda event: event.occurred_at),
    ActivityLog: ("occurredAt", lambda log: log.occurred_at),
    AdjustPoints: ("occurredAt", lambda command: command.occurred_at),
}


def _check_time(found: Read) -> None:
    """Refuse what happened more than 24 hours from now.

    Raises:
        Refused: it did.
    """
    field, moment = _moment(found)
    if moment is not None:
        not_ahead(from_millis(found.input.timestamp), field, moment)


def _moment(found: Read) -> tuple[str, datetime | None]:
    """Return the name of the field that says when it happened, and what it says."""
    field, moment_of = _MOMENT.get(type(found.record), ("", lambda _record: None))
    return field, moment_of(found.record)

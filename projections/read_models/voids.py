"""Voids: what was taken back; and how much of a log is voided, in the read models that have it."""

from collections.abc import Iterable
from typing import LiteralString

import msgspec

from projections.projection import Amended, Row, of_events
from schemas.event_types import (
    ACTIVITY_REVERTED,
    CHALLENGE_LOG_VOIDED,
    EVENT_VOIDED,
    POINTS_REVERSED,
)
from schemas.outputs import Envelope


class _Void(msgspec.Struct, rename="camel", gc=False):
    """What every event of a void says, and what it is of where its type does not."""

    void_id: str
    owned_by_id: str
    id: str
    unique_identifier: str
    reason: str
    voided_at: str
    portion: msgspec.Raw = msgspec.Raw(b"1")
    actor: str | None = None
    event_log_id: str | None = None
    activity_log_id: str = ""
    what: str = ""
    voided_id: str = ""

    def row(self, event: Envelope, what: str, voided_id: str) -> Row:
        """Return the void of such a thing."""
        return (
            event.project,
            self.void_id,
            self.owned_by_id,
            what,
            voided_id,
            str(self.portion, "ascii"),
            self.unique_identifier,
            self.reason,
            self.actor,
            self.voided_at,
            int(event.sequence),
        )


_VOID = msgspec.json.Decoder(_Void)


def _log(event: Envelope) -> Iterable[Row]:
    """That of a log; one that an event fed is voided with it."""
    void = _VOID.decode(event.data)
    if void.event_log_id is None:
        yield void.row(event, "challenge_log", void.id)


def _event(event: Envelope) -> Iterable[Row]:
    void = _VOID.decode(event.data)
    yield void.row(event, "event", void.id)


def _activity(event: Envelope) -> Iterable[Row]:
    void = _VOID.decode(event.data)
    yield void.row(event, "activity_log", void.activity_log_id)


_SPENT = ("redemption", "spend", "capture")


def _points(event: Envelope) -> Iterable[Row]:
    """That of an entry of the ledger; points of anything else moved with it."""
    void = _VOID.decode(event.data)
    if void.what in _SPENT:
        yield void.row(event, void.what, void.voided_id)


VOIDS = of_events(
    "voids",
    columns=(
        "project",
        "void_id",
        "member_id",
        "what",
        "id",
        "portion",
        "unique_identifier",
        "reason",
        "actor",
        "at",
        "sequence",
    ),
    key=("project", "void_id"),
    events={
        CHALLENGE_LOG_VOIDED: _log,
        EVENT_VOIDED: _event,
        ACTIVITY_REVERTED: _activity,
        POINTS_REVERSED: _points,
    },
)
"""Facts: a void is not voided."""


class _Portion(msgspec.Struct, rename="camel", gc=False):
    """How much of a thing is voided."""

    id: str
    voided_portion: msgspec.Raw


_PORTION = msgspec.json.Decoder(_Portion)


def portion(event: Envelope) -> Iterable[Amended]:
    """How much of a log is voided by now; for ``PORTIONS``."""
    data = _PORTION.decode(event.data)
    voided = str(data.voided_portion, "ascii")
    yield Amended({"project": event.project, "id": data.id, "portion": voided})


PORTIONS: LiteralString = """
    UPDATE {model} AS target SET voided_portion = amended.portion
    FROM (
        SELECT project, id, max(portion) AS portion
        FROM json_to_recordset(%s::json) AS amended (project text, id uuid, portion numeric)
        GROUP BY project, id
    ) AS amended
    WHERE target.project = amended.project AND target.id = amended.id
"""
"""It only grows."""

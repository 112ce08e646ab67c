"""Members: the newest state of each, and what their status was before."""

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from projections.event_table import event_table
from projections.projection import Change, Forgotten, Row, of_events
from schemas.event_types import MEMBER_UPSERTED
from schemas.outputs import Envelope

_FIRST = 1
COMPACTED_AWAY = -1
"""The first place of a member whose first event is on the topic no more: before all others."""

_ROWS = event_table(
    "members",
    (MEMBER_UPSERTED,),
    ("project", "member_id"),
    newest_by="sequence",
    renamed={"id": "member_id"},
    place="first_place",
    kept=("first_place",),
    forgets=True,
)
_VERSION = _ROWS.columns.index("version")


def _placed(event: Envelope | Forgotten) -> Iterable[Change]:
    """The rows of an event; the place of a later one is not where its member became known."""
    for change in _ROWS.rows(event):
        if isinstance(change, tuple) and change[_VERSION] != _FIRST:
            yield (*change[:-1], COMPACTED_AWAY)
        else:
            yield change


MEMBERS = replace(_ROWS, rows=_placed)
"""What a deletion erased is null, and who is forgotten has no row. The topic keeps the last event
of each member: a row that is made anew then does not tell its first place."""


class _Changed(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.MemberRecord``."""

    id: str
    status: str
    updated_at: str
    version: int


_CHANGED = msgspec.json.Decoder(_Changed)
_LIVE = "live"


def _status(event: Envelope) -> Iterable[Row]:
    """A change of a member's record; none where it began live, as nearly all do."""
    member = _CHANGED.decode(event.data)
    if member.version > _FIRST or member.status != _LIVE:
        yield (
            event.project,
            member.id,
            member.version,
            member.status,
            member.updated_at,
            int(event.sequence),
        )


MEMBER_HISTORY = of_events(
    "member_history",
    columns=("project", "member_id", "version", "status", "updated_at", "sequence"),
    key=("project", "member_id", "version"),
    events={MEMBER_UPSERTED: _status},
)
"""Facts, without personal fields: whether a member was live when something was folded."""

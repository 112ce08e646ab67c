"""Members: the newest state of each, and what their status was before."""

from collections.abc import Iterable

import msgspec

from projections.event_table import event_table
from projections.projection import Row, of_events
from schemas.event_types import MEMBER_UPSERTED
from schemas.outputs import Envelope

MEMBERS = event_table(
    "members",
    (MEMBER_UPSERTED,),
    ("project", "member_id"),
    newest_by="sequence",
    renamed={"id": "member_id"},
    place="first_place",
    kept=("first_place",),
)
"""What a deletion erased is null."""


class _Changed(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.MemberRecord``."""

    id: str
    status: str
    updated_at: str
    version: int


_CHANGED = msgspec.json.Decoder(_Changed)
_LIVE, _FIRST = "live", 1


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

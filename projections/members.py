"""``members``: the newest state of each member."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import MEMBER_UPSERTED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "member_id",
    "external_id",
    "first_name",
    "last_name",
    "email",
    "phone_number",
    "telephone",
    "country",
    "city",
    "groups",
    "timezone",
    "status",
    "created_at",
    "updated_at",
    "version",
    "sequence",
)


class _Member(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.MemberRecord``."""

    id: str
    external_id: str
    first_name: str | None
    last_name: str | None
    email: str | None
    phone_number: str | None
    telephone: str | None
    country: str | None
    city: str | None
    groups: list[str]
    timezone: str | None
    status: str
    created_at: str
    updated_at: str
    version: int


_MEMBER = msgspec.json.Decoder(_Member)


def upserted(event: Envelope) -> Iterable[Row]:
    """A member as it is after a change; what a deletion erased is null."""
    member = _MEMBER.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(member), int(event.sequence))


PROJECTION = of_events(
    table="members",
    columns=COLUMNS,
    key=("project", "member_id"),
    newest_by="sequence",
    events={MEMBER_UPSERTED: upserted},
)

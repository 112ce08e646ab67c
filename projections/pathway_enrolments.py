"""``pathway_enrolments``: who is enrolled in a pathway, or was."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import MEMBER_ENROLLED, MEMBER_UNENROLLED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "pathway_id",
    "member_id",
    "id",
    "user_id",
    "enrolled",
    "enrolled_at",
    "updated_at",
    "version",
    "definition_version",
    "sequence",
)


class _Enrolled(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.Enrolled``."""

    pathway_id: str
    owned_by_id: str
    id: str
    user_id: str
    enrolled: bool
    enrolled_at: str | None
    updated_at: str
    version: int
    definition_version: int


_ENROLLED = msgspec.json.Decoder(_Enrolled)


def changed(event: Envelope) -> Iterable[Row]:
    """The enrolment as it is now."""
    enrolment = _ENROLLED.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(enrolment), int(event.sequence))


PROJECTION = of_events(
    table="pathway_enrolments",
    columns=COLUMNS,
    key=("project", "pathway_id", "member_id"),
    newest_by="sequence",
    events={MEMBER_ENROLLED: changed, MEMBER_UNENROLLED: changed},
)

"""``pathway_enrolments``: who is enrolled in a pathway, or was."""

from collections.abc import Iterable

import msgspec

from projections.projection import Projection, Row, by_type
from schemas.outputs import MEMBER_ENROLLED, MEMBER_UNENROLLED, Envelope
from schemas.topics import PATHWAY_EVENTS

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


PROJECTION = Projection(
    table="pathway_enrolments",
    topics=(PATHWAY_EVENTS,),
    types=frozenset({MEMBER_ENROLLED, MEMBER_UNENROLLED}),
    columns=COLUMNS,
    key=("project", "pathway_id", "member_id"),
    newest_by="sequence",
    rows=by_type({MEMBER_ENROLLED: changed, MEMBER_UNENROLLED: changed}),
)

"""Pathways: who is enrolled, what was done at each activity, and how members are shown with it."""

from collections.abc import Iterable

import msgspec

from projections.event_table import event_table
from projections.projection import Row, of_events
from schemas.caseless import caseless
from schemas.event_types import (
    ACTIVITY_COMPLETED,
    ACTIVITY_PROGRESSED,
    ACTIVITY_REVERTED,
    MEMBER_ENROLLED,
    MEMBER_UNENROLLED,
    MEMBER_UPSERTED,
)
from schemas.outputs import Envelope

_REQUIRED = ("completed_required", "required_activities", "pathway_completed")
_OF_A_VOID = (
    *("activity_log_id", "void_id", "unique_identifier"),
    *("reason", "actor", "voided_at"),
)

PATHWAY_ENROLMENTS = event_table(
    "pathway_enrolments",
    (MEMBER_ENROLLED, MEMBER_UNENROLLED),
    ("project", "pathway_id", "member_id"),
    newest_by="sequence",
    without=_REQUIRED,
)
"""Who is enrolled in a pathway, or was."""

PATHWAY_LOGS = event_table(
    "pathway_logs",
    (ACTIVITY_PROGRESSED, ACTIVITY_COMPLETED, ACTIVITY_REVERTED),
    ("project", "pathway_id", "activity_id", "member_id"),
    newest_by="sequence",
    without=("enrolled", *_REQUIRED, *_OF_A_VOID),
)
"""What each member did at each activity, after the newest log, review or void."""


class _Member(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.MemberRecord``."""

    id: str
    first_name: str | None
    last_name: str | None
    email: str | None
    telephone: str | None
    country: str | None
    city: str | None
    groups: list[str]


class _Profile(msgspec.Struct, gc=False):
    """The first fields of a log, in the order in which they are shown."""

    firstname: str
    lastname: str
    email: str
    telephone: str
    country: str
    city: str
    groups: list[str]


_MEMBER = msgspec.json.Decoder(_Member)


def _upserted(event: Envelope) -> Iterable[Row]:
    """A member after a change; one that was deleted has no names left."""
    member = _MEMBER.decode(event.data)
    first, last = member.first_name or "", member.last_name or ""
    profile = _Profile(
        firstname=first,
        lastname=last,
        email=member.email or "",
        telephone=member.telephone or "",
        country=member.country or "",
        city=member.city or "",
        groups=member.groups,
    )
    yield (
        event.project,
        member.id,
        _searched(member.email or "", first, last, f"{first} {last}"),
        _searched(*member.groups),
        msgspec.json.encode(profile).decode(),
        int(event.sequence),
    )


def _searched(*names: str) -> list[str]:
    return sorted({caseless(name) for name in names} - {""})


PATHWAY_PROFILES = of_events(
    table="pathway_profiles",
    columns=("project", "member_id", "names", "groups", "profile", "sequence"),
    key=("project", "member_id"),
    newest_by="sequence",
    events={MEMBER_UPSERTED: _upserted},
    forgets=True,
)
"""How the pathway-logs face shows each member, and what it finds them by. An answer shows each
member once for each activity, so its JSON is made here, once a change. Names are kept without
regard to case as Python knows it: a database's locale may know ASCII alone."""

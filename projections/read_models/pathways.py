"""Pathways: who is enrolled, what was done at each activity and completed when, and how members are
shown with it."""

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


class _Changed(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.ActivityChanged`` and ``outputs.ActivityReverted``."""

    owned_by_id: str
    pathway_id: str
    activity_id: str
    complete: bool
    timestamp: str
    updated_at: str
    definition_version: int
    void_id: str | None = None
    voided_at: str | None = None


class _Enrolment(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.Enrolled``."""

    owned_by_id: str
    pathway_id: str
    enrolled: bool
    enrolled_at: str | None
    updated_at: str
    definition_version: int


_CHANGED = msgspec.json.Decoder(_Changed)
_ENROLMENT = msgspec.json.Decoder(_Enrolment)


def _completed(event: Envelope) -> Iterable[Row]:
    """An activity that was completed, or had a log voided."""
    changed = _CHANGED.decode(event.data)
    yield (
        event.project,
        changed.owned_by_id,
        changed.pathway_id,
        changed.activity_id,
        "completed" if changed.void_id is None else "reverted",
        changed.complete,
        changed.voided_at or changed.timestamp,
        changed.voided_at or changed.updated_at,
        changed.void_id,
        changed.definition_version,
        int(event.sequence),
    )


def _enrolled(event: Envelope) -> Iterable[Row]:
    """An enrolment, or its end."""
    enrolment = _ENROLMENT.decode(event.data)
    yield (
        event.project,
        enrolment.owned_by_id,
        enrolment.pathway_id,
        "",
        "enrolled" if enrolment.enrolled else "unenrolled",
        enrolment.enrolled,
        (enrolment.enrolled and enrolment.enrolled_at) or enrolment.updated_at,
        enrolment.updated_at,
        None,
        enrolment.definition_version,
        int(event.sequence),
    )


PATHWAY_HISTORY = of_events(
    table="pathway_history",
    columns=(
        *("project", "member_id", "pathway_id", "activity_id", "change", "complete"),
        *("at", "recorded_at", "void_id", "definition_version", "sequence"),
    ),
    key=("project", "member_id", "pathway_id", "sequence", "activity_id", "change"),
    events={
        ACTIVITY_COMPLETED: _completed,
        ACTIVITY_REVERTED: _completed,
        MEMBER_ENROLLED: _enrolled,
        MEMBER_UNENROLLED: _enrolled,
    },
)
"""Facts: they never change."""


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

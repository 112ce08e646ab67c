"""A member: who it is, whether it earns. State, initial, evolve, decide, step."""

from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol, TypeGuard

import msgspec
from msgspec import UNSET, Raw

from processor.domain.inputs import Refused
from schemas import attributes, outputs
from schemas.dead_letter import Reason
from schemas.records import PROFILE_FIELDS, OwnedBy


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of a member. ``version`` counts changes; a deleted one keeps id and history."""

    project: str
    external_id: str
    created_at: datetime
    updated_at: datetime
    version: int
    status: str = "live"
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    telephone: str | None = None
    country: str | None = None
    city: str | None = None
    groups: tuple[str, ...] = ()
    timezone: str | None = None
    attributes: Raw = attributes.NONE
    """One JSON object: most records of a member need none of it, so it is not decoded with it."""


LIVE = "live"
DELETED = "deleted"
FORGOTTEN = "forgotten"
_GONE = frozenset({DELETED, FORGOTTEN})

_PROFILE = attrgetter(*PROFILE_FIELDS)
_NOTHING_GIVEN = (UNSET,) * len(PROFILE_FIELDS)


def initial(project: str, external_id: str, at: datetime) -> Member:
    """Return a member of whom nothing is known but its id; version 0: not announced yet."""
    return Member(project, external_id, at, at, 0)


def evolve(before: Member, profile: OwnedBy, status: str | None, at: datetime) -> Member:
    """Return the member with the fields that ``profile`` gives; itself where nothing changes.

    A deleted or forgotten member that is upserted lives again.

    Raises:
        Refused: the member would have more attributes than one may.
    """
    given = _PROFILE(profile)
    if given == _NOTHING_GIVEN and status is None and before.version and before.status not in _GONE:
        return before  # most logs only name their member
    changes: dict[str, object] = {}
    for name, value in zip(PROFILE_FIELDS, given, strict=True):
        if value is not UNSET:
            after = _after(name, getattr(before, name), value)
            if after != getattr(before, name):
                changes[name] = after
    if status is None and before.status in _GONE:
        status = "live"
    if status is not None and status != before.status:
        changes["status"] = status
    if not changes and before.version:
        return before
    return msgspec.structs.replace(before, **changes, updated_at=at, version=before.version + 1)


def _after(name: str, before: Any, given: Any) -> Any:
    """Return what a field of a profile becomes."""
    if name == "groups":
        return tuple(dict.fromkeys(given or ()))
    if name != "attributes":
        return given
    if given is None:
        return before
    try:
        return attributes.merged(before, given)
    except attributes.AttributesError as error:
        raise Refused(Reason.INVALID, str(error), "attributes") from error


def with_status(before: Member, status: str, at: datetime) -> Member:
    """Return the member with another status; itself where it has that one."""
    if before.status == status:
        return before
    return msgspec.structs.replace(before, status=status, updated_at=at, version=before.version + 1)


def erased(before: Member, at: datetime) -> Member:
    """Return the member without personal data: its id, dates and status stay."""
    return before if before.status == DELETED else _bare(before, DELETED, at)


def forgotten(before: Member, at: datetime) -> Member:
    """Return the member as one of whom nothing is known but its id: it was forgotten at
    ``updated_at``. Itself where it is that already."""
    return before if before.status == FORGOTTEN else _bare(before, FORGOTTEN, at)


def _bare(before: Member, status: str, at: datetime) -> Member:
    return Member(
        before.project, before.external_id, before.created_at, at, before.version + 1, status
    )


class GoesByZone(Protocol):
    """A rule whose periods begin in a time zone."""

    @property
    def timezone(self) -> str: ...
    @property
    def by_member(self) -> bool: ...


def zone(rule: GoesByZone, timezone: str | None) -> str:
    """Return the time zone of a rule for a member that has ``timezone``, or none."""
    return timezone or rule.timezone if rule.by_member else rule.timezone


def is_there(member: Member | None, project: str) -> TypeGuard[Member]:
    """Tell whether a project has a member, and it was neither deleted nor forgotten."""
    return member is not None and member.project == project and member.status not in _GONE


def is_alive(member: Member | None) -> bool:
    """Tell whether a member is known, and was neither deleted nor forgotten."""
    return member is not None and member.status not in _GONE


def decide(before: Member | None, after: Member) -> bool:
    """Tell whether the change is to be announced: whether there is one."""
    return after is not before


def reference(member_id: str, member: Member) -> outputs.MemberReference:
    """Return what a reply says of the member: personal fields travel in member events only."""
    return outputs.MemberReference(
        id=member_id,
        external_id=member.external_id,
        status=member.status,
        created_at=member.created_at,
        updated_at=member.updated_at,
        version=member.version,
    )


def record(member_id: str, member: Member) -> outputs.MemberRecord:
    """Return the member as the records face shows it."""
    return outputs.MemberRecord(
        id=member_id,
        external_id=member.external_id,
        first_name=member.first_name,
        last_name=member.last_name,
        email=member.email,
        phone_number=member.phone_number,
        telephone=member.telephone,
        country=member.country,
        city=member.city,
        groups=list(member.groups),
        timezone=member.timezone,
        attributes=UNSET if member.attributes == attributes.NONE else member.attributes,
        status=member.status,
        created_at=member.created_at,
        updated_at=member.updated_at,
        version=member.version,
    )

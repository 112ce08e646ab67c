"""Bodies of the records face: the input records, strict about unknown fields."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.http.problems import invalid
from schemas import ids
from schemas.instants import InstantError, utc
from schemas.records import (
    PROFILE_FIELDS,
    ChallengeLog,
    Instant,
    LogStatus,
    MemberStatus,
    OwnedBy,
    RecordError,
    check_profile,
    check_uuid,
)


class OwnedByBody(
    OwnedBy, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """The member of a challenge log, upserted with it."""


class ChallengeLogBody(
    ChallengeLog, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """A challenge log as it is posted; its project is that of the credentials."""

    owned_by: OwnedByBody | None = None  # type: ignore[assignment]  # is sealed on its way
    status: LogStatus | None = "live"  # type: ignore[assignment]


class MemberBody(
    OwnedBy, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """A member as it is created."""

    status: MemberStatus | None | UnsetType = UNSET


class MemberPatch(
    MemberBody, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """What is to change of a member. Null clears a field, an absent one stays as it is; what every
    member has is not cleared, so that null counts as absent there."""

    external_id: str | None | UnsetType = UNSET  # type: ignore[assignment]


class RewardLogPatch(
    msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """How a reward was fulfilled: the only fields of a reward log that anybody sets."""

    coupon_code: Annotated[str, Meta(max_length=256)] | None | UnsetType = UNSET
    reward_issued_at: Instant | None | UnsetType = UNSET
    reward_expiry_at: Instant | None | UnsetType = UNSET


def check_log(body: ChallengeLogBody, project: str) -> str:
    """Check what the types of a log cannot say, and make its ids lower case; return its member.

    Raises:
        Problem: 400 naming the field.
    """
    body.status = body.status or "live"
    try:
        body.challenge_id = check_uuid("challengeId", body.challenge_id)
        body.activity_at = utc(body.activity_at)
        if body.owned_by_id is not None:
            body.owned_by_id = check_uuid("ownedById", body.owned_by_id)
    except RecordError as error:
        raise invalid(error.field, error.message) from error
    except InstantError as error:
        raise invalid("activityAt", str(error)) from error
    if body.owned_by is None:
        if body.owned_by_id is None:
            raise invalid("ownedById", "is required, or ownedBy in its place")
        return body.owned_by_id
    if body.owned_by_id is not None:
        raise invalid("ownedById", "must not be given together with ownedBy")
    without_nulls(body.owned_by)
    check_member(body.owned_by, "ownedBy.")
    return ids.member_id(project, body.owned_by.external_id)


def without_nulls(body: OwnedBy) -> None:
    """Take what is null of a member that is created as what is absent: it clears nothing."""
    for name in PROFILE_FIELDS:
        if getattr(body, name) is None:
            setattr(body, name, UNSET)


def check_member(body: OwnedBy, prefix: str = "") -> None:
    """Check what the types of a member's fields cannot say.

    Raises:
        Problem: 400 naming the field, with `prefix` before it.
    """
    try:
        check_profile(body)
    except RecordError as error:
        raise invalid(prefix + error.field, error.message) from error

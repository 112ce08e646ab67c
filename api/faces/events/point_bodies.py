"""The bodies of the calls that move a user's points, and the commands that they become."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Request
from msgspec import Meta

from api.http import bodies
from api.http.problems import invalid
from schemas import records
from schemas.amounts import MAX_POINTS
from schemas.instants import InstantError, utc
from schemas.records import Identifier, Instant, Name, Points, PointsCommand, RecordError, Text


class _Body(
    msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    unique_identifier: Identifier
    challenge_group: Text | None = None
    reason: Name | None = None


class SpendBody(_Body):
    """Points to take, all of them or none."""

    points: Points


class HoldBody(_Body):
    """Points to reserve, all of them or none; they are released at `until`, by default after seven
    days."""

    points: Points
    until: Instant | None = None


class _HoldBody(_Body):
    hold_identifier: Identifier | None = None


class CaptureBody(_HoldBody):
    """Which points of a hold to spend: all of them where it names none. The rest is released.
    `holdIdentifier` is in the path; in the body it may be once more."""

    points: Points | None = None


class ReleaseBody(_HoldBody):
    """What identifies the release of a hold. `holdIdentifier` is in the path; in the body it may be
    once more."""


class AdjustBody(_Body):
    """Points to give by hand, or to take where they are below 0, all of them or none."""

    points: Annotated[int, Meta(ge=-MAX_POINTS, le=MAX_POINTS)]
    reason: Text
    actor: Name | None = None
    occurred_at: Instant | None = None
    expires_at: Instant | None = None


BODIES = (SpendBody, HoldBody, CaptureBody, ReleaseBody, AdjustBody)

_COMMANDS: Mapping[type[_Body], type[PointsCommand]] = {
    SpendBody: records.SpendPoints,
    HoldBody: records.HoldPoints,
    CaptureBody: records.CaptureHold,
    ReleaseBody: records.ReleaseHold,
    AdjustBody: records.AdjustPoints,
}
_MOMENTS = {"until": "until", "occurred_at": "occurredAt", "expires_at": "expiresAt"}


async def read(request: Request, body: type[_Body], project: str, **named: str) -> PointsCommand:
    """Return the command that the request's body of this type is; `named` are the fields that the
    path has.

    Raises:
        Problem: 400 naming the field, or 413.
    """
    given: dict[str, Any] = msgspec.structs.asdict(await bodies.read(request, body, project))
    if given.get("hold_identifier") not in (None, named.get("hold_identifier")):
        raise invalid("holdIdentifier", "is not the path's")
    given.update(named)
    for field, shown in _MOMENTS.items():
        if given.get(field) is not None:
            try:
                given[field] = utc(given[field])
            except InstantError as error:
                raise invalid(shown, str(error)) from error
    command = _COMMANDS[body](project=project, **given)
    if isinstance(command, records.AdjustPoints):
        try:
            records.check_adjustment(command)
        except RecordError as error:
            raise invalid(error.field, error.message) from error
    return command

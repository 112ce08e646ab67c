"""Fulfilling a reward: its coupon, when it was issued and when it expires."""

import msgspec
from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.faces.records.bodies import RewardLogPatch
from api.faces.records.reads import row_of
from api.http import bodies
from api.http.preconditions import etag_of, expected_version
from api.http.problems import invalid
from api.http.responses import json_response, pending
from api.kafka.processor_client import refusal
from api.queries.record_fields import REWARD_LOG
from schemas import records
from schemas.instants import InstantError, utc
from schemas.records import UpdateRewardLog
from schemas.topics import MEMBER_COMMANDS


async def change(request: Request, caller: Caller, record_id: str) -> Response:
    """Change the fields given of a reward log."""
    body = await bodies.read(request, RewardLogPatch, caller.project)
    _check(body)
    row = await row_of(request, caller, REWARD_LOG, record_id)
    reward_id, member_id = str(row["id"]), str(row["ownedById"])
    command = UpdateRewardLog(
        project=caller.project,
        member_id=member_id,
        reward_log_id=reward_id,
        if_version=expected_version(request, row["version"]),
        coupon_code=body.coupon_code,
        reward_issued_at=body.reward_issued_at,
        reward_expiry_at=body.reward_expiry_at,
    )
    reply = await resources.of(request).processor.send(
        MEMBER_COMMANDS, member_id, records.encode(command)
    )
    if reply is None:
        return pending(reward_id, f"/schema/reward_log/record/{reward_id}")
    if reply.status >= 400:
        raise refusal(reply)
    return json_response(bytes(reply.body), reply.status, {"etag": etag_of(reply.body)})


def _check(body: RewardLogPatch) -> None:
    """Refuse times whose UTC is outside the calendar.

    Raises:
        Problem: 400 naming the field.
    """
    for name in ("reward_issued_at", "reward_expiry_at"):
        value = getattr(body, name)
        if value is not None and value is not msgspec.UNSET:
            try:
                utc(value)
            except InstantError as error:
                wire = "rewardIssuedAt" if name == "reward_issued_at" else "rewardExpiryAt"
                raise invalid(wire, str(error)) from error

"""Challenge logs: the write that members' progress comes from."""

from fastapi import Request, Response
from msgspec import structs

from api import resources, voiding
from api.auth.access import Caller
from api.faces.records.bodies import ChallengeLogBody, check_log
from api.http import bodies, dry_runs
from api.http.responses import json_response, pending
from api.kafka.processor_client import refusal
from schemas import ids, records
from schemas.records import ChallengeLog, Owner
from schemas.topics import CHALLENGE_LOGS


async def create(request: Request, caller: Caller) -> Response:
    """Send a log to the processor; respond with its effects."""
    asked = dry_runs.asked(request)
    body = await bodies.read(request, ChallengeLogBody, caller.project)
    member_id = check_log(body, caller.project)
    body.project = caller.project
    log_id = ids.challenge_log_id(
        caller.project, body.challenge_id, member_id, body.unique_identifier
    )
    location = f"/schema/challenge_log/record/{log_id}"
    held = resources.of(request)
    log: ChallengeLog = body
    if body.owned_by is not None:
        owner = Owner(**structs.asdict(body.owned_by))
        await held.sealer.seal(member_id, owner, dry_run=asked.dry_run)
        log = structs.replace(body, owned_by=owner)
    reply = await held.processor.send(CHALLENGE_LOGS, member_id, records.encode(log), asked)
    if reply is None:
        return pending(log_id, location)
    if reply.status >= 400:
        raise refusal(reply)
    headers = {} if asked.dry_run else {"location": location}
    return json_response(bytes(reply.body), reply.status, headers)


async def void(request: Request, caller: Caller, log_id: str) -> Response:
    """Take a log back, or a part of it; respond with what that changed."""
    command = await voiding.of_log(request, caller, "challenge_log", "challenge_logs", log_id)
    void_id, reply = await voiding.send(request, command)
    if reply is None:
        return pending(void_id, f"/schema/challenge_log/record/{command.id}")
    return json_response(bytes(reply.body), reply.status)

"""`POST /event`: sends an event to the processor."""

import ipaddress

from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.faces.events import bodies
from api.faces.events.access import is_end_user, require_own
from api.faces.events.bodies import EventBody
from api.faces.events.face import body_of
from api.http import dry_runs
from api.http.problems import Problem
from api.http.responses import json_response
from api.kafka.processor_client import refusal
from schemas import ids, records
from schemas.topics import EVENTS

_PENDING = (
    "The event was taken, but its result did not come in time; "
    "repeating it with the same Idempotency-Key is safe"
)


async def post(request: Request, caller: Caller) -> Response:
    """Send an event to the processor; respond with its effects."""
    asked = dry_runs.asked(request)
    body = await bodies.read(request, caller.project)
    require_own(caller, body.user_id)
    if is_end_user(caller) and body.occurred_at is not None:
        raise Problem(403, "occurredAt: only a backend may say when an event happened")
    _check_size(request, caller, body)
    event = _record(request, caller, body)
    member_id = ids.member_id(caller.project, body.user_id)
    processor = resources.of(request).processor
    reply = await processor.send(EVENTS, member_id, records.encode(event), asked)
    headers = bodies.key_headers(body.idempotency_key)
    if reply is None:
        key = body.idempotency_key or ""
        log_id = ids.event_log_id(caller.project, member_id, key)
        return json_response(body_of(202, _PENDING, id=log_id, data={"id": log_id}), 202, headers)
    if reply.status >= 400:
        refused = refusal(reply)
        refused.headers |= headers
        raise refused
    return json_response(bytes(reply.body), reply.status, headers)


def _check_size(request: Request, caller: Caller, body: EventBody) -> None:
    """Refuse metadata over the project's limits, for an end user or for everybody.

    Raises:
        Problem: 413 naming `metadata`.
    """
    limits = resources.of(request).definitions.limits(caller.project)
    most = limits.metadata_of(by_end_user=is_end_user(caller))
    if len(bytes(body.metadata)) > most:
        raise Problem(413, f"metadata: may have at most {most} bytes")


def _record(request: Request, caller: Caller, body: EventBody) -> records.Event:
    return records.Event(
        project=caller.project,
        event_id=body.event_id,
        user_id=body.user_id,
        metadata=body.metadata,
        occurred_at=body.occurred_at,
        idempotency_key=body.idempotency_key,
        ip=_address(request),
        with_api_key=caller.key is not None,
        by_end_user=is_end_user(caller),
    )


def _address(request: Request) -> str | None:
    """Return the caller's IP address, None where a proxy's header has none."""
    host = request.client.host if request.client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None

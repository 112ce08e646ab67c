"""`GET /event` and `GET /event/{eventId}`: the project's events as they are defined now."""

from typing import Any

from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.http.problems import Problem, invalid, not_found
from api.http.responses import json_response
from schemas import definitions as models
from schemas.definition_set import Stored

SHOWN = (
    "title",
    "description",
    "status",
    "limit",
    "maximumReward",
    "reward",
    "conditions",
    "metadataFields",
    "type",
)
"""The fields that this face shows of an event, after its `eventId`; `/definitions` has them all."""


async def list_(request: Request, caller: Caller) -> Response:
    """Answer the events, in the order they were first written; 204 where there are none at all."""
    show_all = request.query_params.get("showAll", "true")
    if show_all not in ("true", "false"):
        raise invalid("showAll", "must be true or false")
    definitions = await resources.of(request).definitions.current()
    events = [document(stored) for stored in definitions.of(caller.project, models.Event.kind)]
    if not events:
        return Response(status_code=204)
    return json_response([e for e in events if show_all == "true" or e["status"] == "ACTIVE"])


async def get(request: Request, caller: Caller, event_id: str) -> Response:
    """Answer one event."""
    definitions = await resources.of(request).definitions.current()
    stored = definitions.get(caller.project, models.Event.kind, event_id)
    if stored is None:
        raise not_found("event", event_id)
    return json_response(document(stored))


def unnamed() -> Problem:
    """Return the 400 of a path that ends where the event's id should be."""
    return invalid("eventId", "is missing")


def document(stored: Stored) -> dict[str, Any]:
    """Return an event as this face shows it."""
    fields = models.wire_fields(stored.definition)
    if fields["conditions"] is not None:
        fields["conditions"] = _condition(fields["conditions"])
    return {
        "eventId": stored.id,
        **{name: fields[name] for name in SHOWN},
        "metadataFields": fields["metadataFields"] or [],
    }


def _condition(condition: dict[str, Any]) -> dict[str, Any]:
    """Return a condition with the fields of a group, or of a comparison, and not of both."""
    if condition["conditions"] is not None:
        inner = [_condition(each) for each in condition["conditions"]]
        return {"type": condition["type"], "conditions": inner}
    shown = {"field": condition["field"], "operator": condition["operator"]}
    has_value = condition["operator"] not in ("exists", "not_exists")
    return shown | ({"value": condition["value"]} if has_value else {})

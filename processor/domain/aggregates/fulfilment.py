"""How an activity was fulfilled, in the shape that the pathway-logs face shows."""

from typing import Any

import msgspec
from msgspec import Raw

from processor.domain.aggregates.pathway import ActivityState, current
from processor.domain.rules import Activity
from schemas import activity_types as types
from schemas.amounts import format_amount

_WITH_PLACE = frozenset({"classroom", "event"})
"""The types whose check-in has an event of its own."""


def fulfilment_json(activity: Activity, state: ActivityState) -> Raw:
    """Return the fulfilment of an activity at which something was done."""
    shown: dict[str, Any] = {
        "type": _type(activity),
        "state": state.state,
        "progress": _number(state.progress),
    }
    if activity.formula is not None:
        shown["data"] = {
            "category": activity.category,
            "current": _number(current(activity, state)),
            "target": _number(activity.target),
        }
    elif activity.fulfilment == types.COMPLETE:
        score = None if state.score is None else _number(state.score)
        shown[activity.type] = {"ID": activity.id, "name": activity.name, "score": score}
    elif activity.fulfilment == types.CHECK_IN:
        shown["checkin"] = _checkin(activity, state)
    elif state.url is not None:
        shown["upload"] = {"url": state.url}
    shown["timestamp"] = state.timestamp
    return Raw(msgspec.json.encode(shown))


def _type(activity: Activity) -> str:
    if activity.formula is not None:
        return types.DATA
    return activity.type if activity.fulfilment == types.COMPLETE else activity.fulfilment


def _checkin(activity: Activity, state: ActivityState) -> dict[str, Any]:
    place = state.place
    shown: dict[str, Any] = {}
    if activity.type in _WITH_PLACE:
        shown["eventID"] = None if place is None else place.event_id
    shown["virtual"] = place is not None and place.virtual
    if activity.type in _WITH_PLACE:
        shown["guid"] = None if place is None else place.guid
    shown["distance"] = -1 if place is None or place.virtual else _plain(place.distance)
    return shown


def _plain(distance: float) -> int | float:
    return int(distance) if distance == int(distance) else distance


def _number(nanos: int) -> Raw:
    return Raw(format_amount(nanos).encode())

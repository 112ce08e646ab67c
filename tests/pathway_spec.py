"""The words of ``spec`` for pathways."""

from typing import Any

import msgspec

from schemas import topics
from tests.spec import Defined, Fact, Given, Sent, ann, command, given

PATHWAY = "EV67-ZCNS-56AD"
DAY = "2026-11-20T10:00:00Z"


def pathway(*activities: dict[str, Any]) -> Defined:
    """A pathway with these activities."""
    return Defined("pathway", PATHWAY, {"id": PATHWAY, "name": "A way", "activities": activities})


def activity(
    id_: str = "a", type_: str = "video", by: str = "view", **fields: Any
) -> dict[str, Any]:
    """One activity of a pathway."""
    return {"id": id_, "name": id_.upper(), "type": type_, "fulfilmentType": by} | fields


def measuring(formula: str, target: float = 100) -> dict[str, Any]:
    """An activity that measures a score."""
    data = {"category": "Score", "formula": formula, "target": target}
    return activity("a", "data", "tracking", data=data)


def did(identifier: str, at: str = DAY, id_: str = "a", **fulfilment: Any) -> Sent:
    """Something that Ann did at an activity."""
    log = {
        "pathwayId": PATHWAY,
        "activityId": id_,
        "userId": "ann",
        "occurredAt": at,
        "uniqueIdentifier": identifier,
        "fulfilment": fulfilment,
    }
    return Sent(topics.ACTIVITY_LOGS, msgspec.json.encode(log))


def pathway_command(type_: str, **fields: Any) -> Sent:
    """A command about Ann in the pathway."""
    return command(type_, pathwayId=PATHWAY, userId="ann", **fields)


enrolled = pathway_command("enrol")


def on(*activities: dict[str, Any]) -> Given:
    """Ann, enrolled in a pathway with these activities."""
    return given(ann, pathway(*activities), enrolled)


def completed(**fields: Any) -> Fact:
    """``activity.completed``."""
    return Fact("activity.completed", {"state": "completed", "complete": True, **fields})


def progressed(progress: int, **fields: Any) -> Fact:
    """``activity.progressed``."""
    return Fact("activity.progressed", {"progress": progress, **fields})


def shown(**fields: Any) -> dict[str, Any]:
    """The fulfilment within a record."""
    return {"fulfilment": fields}

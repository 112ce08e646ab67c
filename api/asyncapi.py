"""`/asyncapi`: an AsyncAPI 3.0 document of the topics, from the catalogue and the structs."""

from collections.abc import Mapping
from typing import Any

from api import json_schemas
from schemas import definitions as models
from schemas import outputs, replies, topics
from schemas.settings import Settings

Document = dict[str, Any]

_EVENTS: Mapping[str, Mapping[str, type]] = {
    topics.PROGRESS_EVENTS: {
        outputs.CHALLENGE_LOG_RECORDED: outputs.ChallengeLogRecorded,
        outputs.CHALLENGE_COMPLETED: outputs.ChallengeProgressed,
        outputs.CHALLENGE_FAILED: outputs.ChallengeProgressed,
    },
    topics.MILESTONE_EVENTS: {outputs.MILESTONE_REACHED: outputs.MilestoneReached},
    topics.REWARD_EVENTS: {
        outputs.REWARD_GRANTED: outputs.RewardChanged,
        outputs.REWARD_UPDATED: outputs.RewardChanged,
    },
    topics.POINTS_EVENTS: {
        outputs.POINTS_GRANTED: outputs.PointsChanged,
        outputs.POINTS_REDEEMED: outputs.PointsChanged,
    },
    topics.EVENT_RESULTS: {outputs.EVENT_LOGGED: outputs.EventLogged},
    topics.STREAK_EVENTS: {
        outputs.STREAK_ADVANCED: outputs.StreakChanged,
        outputs.STREAK_BROKEN: outputs.StreakChanged,
        outputs.STREAK_COMPLETED: outputs.StreakChanged,
    },
    topics.PATHWAY_EVENTS: {
        outputs.MEMBER_ENROLLED: outputs.Enrolled,
        outputs.MEMBER_UNENROLLED: outputs.Enrolled,
        outputs.ACTIVITY_PROGRESSED: outputs.ActivityChanged,
        outputs.ACTIVITY_COMPLETED: outputs.ActivityChanged,
    },
    topics.MEMBER_EVENTS: {outputs.MEMBER_UPSERTED: outputs.MemberRecord},
}
"""The CloudEvents of each output topic, and what their `data` is."""

_INPUTS: Mapping[str, tuple[str, ...]] = {
    topics.CHALLENGE_LOGS: ("ChallengeLog",),
    topics.EVENTS: ("EventRecord",),
    topics.ACTIVITY_LOGS: ("ActivityLog",),
    topics.TICKS: ("Tick",),
    topics.MEMBER_COMMANDS: (
        "UpsertMember",
        "UpdateMemberStatus",
        "DeleteMember",
        "UpdateRewardLog",
        "RedeemPoints",
        "Enrol",
        "Unenrol",
        "ReviewActivity",
    ),
    topics.DEFINITIONS: tuple(kind.capitalize() for kind in models.KINDS),
}


_FREE: Mapping[str, str] = {
    topics.FORWARDED: "Forwarded",
    topics.CHUNK_LOG: "Chunk",
}
"""Topics whose messages are described as objects and no closer, and their messages' names."""

_ACTIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_INPUTS, ("receive",)),
    **dict.fromkeys((topics.TICKS, topics.FORWARDED, topics.CHUNK_LOG), ("send", "receive")),
}
"""What Milestream does with a topic where that is not only to send."""


def document(settings: Settings, version: str) -> Document:
    """Return the AsyncAPI document of all topics of the catalogue."""
    messages: dict[str, Document] = {}
    channels: dict[str, Document] = {}
    operations: dict[str, Document] = {}
    for name, topic in topics.TOPICS.items():
        found = _messages_of(name)
        messages.update(found)
        channels[name] = {
            "address": settings.topic(name),
            "description": topic.purpose,
            "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in found},
        }
        for action in _ACTIONS.get(name, ("send",)):
            operations[f"{action}-{name}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": topic.purpose,
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Milestream",
            "version": version,
            "description": "Kafka topics: what Milestream reads, and what it publishes. Keys are "
            "member ids; consumers of outputs read with isolation.level=read_committed.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _schemas() -> dict[str, Document]:
    structs = json_schemas.INPUT_STRUCTS + json_schemas.EVENT_STRUCTS
    return {**json_schemas.of_definitions(), **json_schemas.of_structs(structs)}


def _messages_of(topic: str) -> dict[str, Document]:
    if topic in _EVENTS:
        return {
            kind: _event(kind, {"const": kind}, json_schemas.ref(data.__name__))
            for kind, data in _EVENTS[topic].items()
        }
    if topic == topics.REPLIES:
        return {"Reply": {**_plain("Reply"), "headers": _REPLY_HEADERS}}
    if topic == topics.DEAD_LETTERS:
        return {"DeadLetter": _plain("DeadLetter")}
    if topic in _INPUTS:
        return {name: _plain(name) for name in _INPUTS[topic]}
    name = _FREE[topic]
    return {name: {"name": name, "payload": {"type": "object"}}}


def _plain(name: str) -> Document:
    return {"name": name, "payload": json_schemas.ref(name)}


def _event(name: str, kind: Document, data: Document) -> Document:
    """Return the message of a CloudEvent, given the schemas of its type and of its data."""
    text, time = {"type": "string"}, {"type": "string", "format": "date-time"}
    return {
        "name": name,
        "contentType": outputs.CONTENT_TYPE[1].decode(),
        "payload": {
            "type": "object",
            "description": "A CloudEvent (1.0, structured mode).",
            "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": text,
                "source": {"type": "string", "description": "/milestream/<project>"},
                "type": kind,
                "subject": {"type": "string", "description": "The member's id."},
                "time": time,
                "datacontenttype": {"const": "application/json"},
                "sequence": text,
                "data": data,
            },
        },
    }


_REPLY_HEADERS = {
    "type": "object",
    "properties": {replies.CORRELATION_ID: {"type": "string", "description": "The request's."}},
}

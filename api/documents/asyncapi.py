"""`/asyncapi.json`: an AsyncAPI 3.0 document of the topics, from the catalogue and the structs."""

from collections.abc import Mapping
from typing import Any, get_args

from api.documents import json_schemas
from api.http.component_refs import ref
from schemas import definitions as models
from schemas import outputs, replies, topics, tracing
from schemas.definition_records import ACTOR, MAX_ACTOR
from schemas.event_types import EVENT_TYPES, EventType
from schemas.records import MemberCommand
from schemas.settings import Settings

Document = dict[str, Any]

_INPUTS: Mapping[str, tuple[str, ...]] = {
    topics.CHALLENGE_LOGS: ("ChallengeLog",),
    topics.EVENTS: ("EventRecord",),
    topics.ACTIVITY_LOGS: ("ActivityLog",),
    topics.TICKS: ("Tick",),
    topics.MEMBER_COMMANDS: tuple(command.__name__ for command in get_args(MemberCommand)),
    topics.DEFINITIONS: tuple(model.__name__ for model in models.KINDS.values()),
}


_FREE: Mapping[str, str] = {
    topics.FORWARDED: "Forwarded",
    topics.CHUNK_LOG: "Chunk",
    topics.DRY_RUNS: "DryRun",
    topics.MEMBER_KEYS: "MemberKey",
}
"""Topics whose messages are described as plain objects, and the names of the messages."""

_ACTIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_INPUTS, ("receive",)),
    **dict.fromkeys(
        (topics.TICKS, topics.FORWARDED, topics.CHUNK_LOG, topics.MEMBER_KEYS), ("send", "receive")
    ),
    topics.DRY_RUNS: ("receive",),
}
"""What Milestream does with a topic, unless it only sends."""


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
        "components": {"messages": messages, "schemas": schemas()},
    }


def schemas() -> dict[str, Document]:
    """Return the components of definitions, inputs and what output events carry, by name."""
    structs = json_schemas.INPUT_STRUCTS + json_schemas.EVENT_STRUCTS
    return {**json_schemas.of_definitions(), **json_schemas.of_structs(structs)}


def _messages_of(topic: str) -> dict[str, Document]:
    events = [each for each in EVENT_TYPES.values() if each.topic == topic]
    if events:
        found = {each.name: event(each) for each in events}
        return found | _FORGOTTEN if topic == topics.MEMBER_EVENTS else found
    if topic == topics.REPLIES:
        return {"Reply": {**_plain("Reply"), "headers": _REPLY_HEADERS}}
    if topic == topics.DEAD_LETTERS:
        return {"DeadLetter": _plain("DeadLetter")}
    if topic == topics.DEFINITIONS:
        return {name: {**_plain(name), "headers": _ACTOR_HEADERS} for name in _INPUTS[topic]}
    if topic in _INPUTS:
        return {name: _plain(name) for name in _INPUTS[topic]}
    name = _FREE[topic]
    return {name: {"name": name, "payload": {"type": "object"}}}


_FORGOTTEN: dict[str, Document] = {
    "ForgottenMember": {
        "name": "ForgottenMember",
        "summary": "No value: the member that the key names was forgotten; drop what came before.",
        "headers": {
            "type": "object",
            "required": [outputs.PROJECT],
            "properties": {outputs.PROJECT: {"type": "string"}},
        },
        "payload": {"type": "null"},
    }
}


def _plain(name: str) -> Document:
    return {"name": name, "payload": ref(name)}


def event(event_type: EventType) -> Document:
    """Return the message of a CloudEvent."""
    text, time = {"type": "string"}, {"type": "string", "format": "date-time"}
    return {
        "name": event_type.name,
        "contentType": outputs.CONTENT_TYPE[1].decode(),
        "headers": _TRACED_HEADERS,
        "payload": {
            "type": "object",
            "description": "A CloudEvent (1.0, structured mode).",
            "required": ["specversion", "id", "source", "type", "subject", "time", "data"],
            "properties": {
                "specversion": {"const": "1.0"},
                "id": text,
                "source": {"type": "string", "description": "/milestream/<project>"},
                "type": {"const": event_type.name},
                "subject": {"type": "string", "description": "The member's id."},
                "time": time,
                "datacontenttype": {"const": "application/json"},
                "sequence": text,
                "data": ref(event_type.data.__name__),
            },
        },
    }


_ACTOR_HEADERS = {
    "type": "object",
    "properties": {
        ACTOR: {
            "type": "string",
            "description": "Who writes it, for `definition_history`.",
            "maxLength": MAX_ACTOR,
        }
    },
}
_TRACED_HEADERS = {
    "type": "object",
    "properties": {
        tracing.HEADER: {
            "type": "string",
            "description": "W3C Trace Context, of what a traced record led to.",
        }
    },
}

_REPLY_HEADERS = {
    "type": "object",
    "properties": {replies.CORRELATION_ID: {"type": "string", "description": "The request's."}},
}

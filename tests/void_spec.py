"""The records of voids, for tests."""

from collections.abc import Mapping
from typing import Any

from tests.pathway_spec import PATHWAY
from tests.spec import CHALLENGE, MILESTONE, Fact, Sent, command


def void(what: str = "challenge_log", identifier: str = "void-1", **fields: Any) -> Sent:
    """A void of Ann's."""
    known = {"userId": "ann", "uniqueIdentifier": identifier, "reason": "sent back"}
    return command("void", what=what, **known | fields)


def void_log(log: str = "log-1", identifier: str = "void-1", **fields: Any) -> Sent:
    """A void of a challenge log by its natural key."""
    of = {"challengeId": CHALLENGE, "uniqueIdentifier": log}
    return void("challenge_log", identifier, of=of, **fields)


def void_event(key: str = "key-1", identifier: str = "void-1", **fields: Any) -> Sent:
    """A void of an event by its idempotency key."""
    return void("event", identifier, of={"idempotencyKey": key}, **fields)


def void_activity(log: str, identifier: str | None = None, id_: str = "a", **fields: Any) -> Sent:
    """A void of an activity log by its natural key."""
    of = {"pathwayId": PATHWAY, "activityId": id_, "uniqueIdentifier": log}
    return void("activity_log", identifier or f"void-{log}", of=of, **fields)


def void_of(
    what: str, identifier: str = "spend-1", void_identifier: str = "void-1", **fields: Any
) -> Sent:
    """A void of a spend, a capture or a redemption by its command's identifier."""
    return void(what, void_identifier, of={"uniqueIdentifier": identifier}, **fields)


# What is expected.


def event_voided(taken: int = 5, **fields: Any) -> Fact:
    """``event.voided``, with the points that all voids of the event took back."""
    return Fact("event.voided", {"pointsVoided": taken, **fields})


def reversed_(points: int, **fields: Any) -> Fact:
    """``points.reversed``; ``points`` as they stand in the ledger."""
    return Fact("points.reversed", {"points": points, "operation": "reverse", **fields})


def log_voided(*parts: Mapping[str, Any], **fields: Any) -> Fact:
    """``challenge_log.voided``."""
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= part
    return Fact("challenge_log.voided", merged | fields)


def reopened(status: str = "in_progress", **fields: Any) -> Fact:
    """``challenge.reopened``."""
    return Fact("challenge.reopened", {"challengeProgressStatus": status, **fields})


def revoked(milestone_id: str = MILESTONE, **fields: Any) -> Fact:
    """``reward.revoked``."""
    return Fact("reward.revoked", {"milestoneId": milestone_id, "status": "revoked", **fields})

"""The input of the event benchmark: purchases with conditions and a limit, feeding a challenge."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.settings import Settings
from tests.bench.workload import (
    CHALLENGES,
    TARGET,
    Definition,
    Workload,
    defined,
    first_moment,
    milestone_fields,
    numbers,
    publish,
)

EVENT = "purchase_completed"
LIMIT = 100
"""A month; the members stay below it, so that every event but the failing ones is counted."""
LEAST = 9
"""What an amount must exceed: about one event in ten fails its conditions."""

EVENT_FIELDS: Mapping[str, Any] = {
    "id": EVENT,
    "title": "Purchase completed",
    "type": "TRANSACTION",
    "reward": {"default": 1, "gold": 2},
    "rewardValueField": "amount",
    "limit": LIMIT,
    "limitPeriod": "monthly",
    "maximumReward": 1000,
    "conditions": {
        "type": "AND",
        "conditions": [
            {"field": "amount", "operator": "greater_than", "value": LEAST},
            {
                "type": "OR",
                "conditions": [
                    {"field": "currency", "operator": "in", "value": ["EUR", "CHF"]},
                    {"field": "voucher", "operator": "exists"},
                ],
            },
        ],
    },
    "metadataFields": [{"key": "amount", "type": "number", "required": True}],
}
CHALLENGE_FIELDS: Mapping[str, Any] = {
    "id": CHALLENGES[0],
    "name": "Spend",
    "aggregationPeriod": "monthly",
    "completionTargetValue": TARGET,
    "eventIds": [EVENT],
    "valueField": "amount",
    "pointsOnCompletion": 100,
}


async def publish_event_definitions(settings: Settings) -> None:
    """Put the event, and the challenge with milestones that it feeds, in force."""
    await publish(settings, _definitions())


def write_members(workload: Workload, path: Path) -> None:
    """Write the commands that make the members known, as NDJSON."""
    with path.open("w") as file:
        for number in range(workload.members):
            file.write(f'{{"type":"upsert-member","externalId":"member-{number:07d}"}}\n')


def write_events(workload: Workload, path: Path) -> int:
    """Write the events as NDJSON, about 240 bytes each; return the file's size."""
    first = first_moment()
    with path.open("wb") as file:
        file.writelines(_line(n, workload.members, first) for n in numbers(workload))
    return path.stat().st_size


def _line(number: int, members: int, first: datetime) -> bytes:
    # Everything about an event comes from its number, so that a duplicate is one to the last byte.
    chance = number * 2654435761 % 2**32
    at = first.timestamp() + chance % 36_000
    moment = datetime.fromtimestamp(at, first.tzinfo)
    return (
        f'{{"eventId":"{EVENT}","userId":"member-{chance % members:07d}",'
        f'"occurredAt":"{moment:%Y-%m-%dT%H:%M:%SZ}","idempotencyKey":"order-{number:010d}",'
        f'"metadata":{{"amount":{chance % 9000 // 100}.{chance % 100:02d},"currency":"EUR",'
        '"usergroup":["default"],"source":"web"}}\n'
    ).encode()


def _definitions() -> Iterator[Definition]:
    yield defined("event", **EVENT_FIELDS)
    yield defined("challenge", **CHALLENGE_FIELDS)
    for fields in milestone_fields(CHALLENGES[0]):
        yield defined("milestone", **fields)

"""The input that all peers fold: challenge logs of sum challenges with milestones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import definitions
from schemas.settings import Settings
from schemas.topics import DEFINITIONS
from tests.bench.peers import MILESTONES

PROJECT = "default"
CHALLENGES = tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
TARGET = 500
"""What completes a challenge."""

Definition = tuple[str, definitions.Definition]
"""A definition and its key."""


@dataclass(frozen=True)
class Workload:
    """How much there is to fold.

    Attributes:
        records: challenge logs, duplicates included.
        members: among whom they are spread evenly.
        duplicates: the share of logs that were there before.
    """

    records: int = 300_000
    members: int = 20_000
    duplicates: float = 0.02


def write_logs(workload: Workload, path: Path) -> int:
    """Write the logs as NDJSON, about 223 bytes each; return the file's size."""
    with path.open("wb") as file:
        file.writelines(_lines(workload))
    return path.stat().st_size


def _lines(workload: Workload) -> Iterator[bytes]:
    first = first_moment()
    return (_line(number, workload.members, first) for number in numbers(workload))


def first_moment() -> datetime:
    """Return noon of yesterday: what happens in a workload happens in the ten hours after it."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon - timedelta(days=1)


def numbers(workload: Workload) -> Iterator[int]:
    """Yield the number of each record; a number comes again where the record is a duplicate."""
    chance = Random(20261121)
    distinct: list[int] = []
    for number in range(workload.records):
        if distinct and chance.random() < workload.duplicates:
            yield chance.choice(distinct)
        else:
            distinct.append(number)
            yield number


def _line(number: int, members: int, first: datetime) -> bytes:
    # Everything about a log comes from its number, so that a duplicate is one to the last byte.
    chance = number * 2654435761 % 2**32
    at = first + timedelta(seconds=chance % 36_000)
    return (
        f'{{"challengeId":"{CHALLENGES[number % 3]}",'
        f'"ownedBy":{{"externalId":"member-{chance % members:07d}"}},'
        f'"activityAt":"{at:%Y-%m-%dT%H:%M:%SZ}","activityId":"made_a_purchase",'
        f'"uniqueIdentifier":"order-{number:010d}",'
        f'"activityValue":{chance % 9000 // 100}.{chance % 100:02d}}}\n'
    ).encode()


async def publish_definitions(settings: Settings) -> None:
    """Put the challenges and milestones in force."""
    await publish(settings, _definitions())


async def publish(settings: Settings, given: Iterable[Definition]) -> None:
    """Write definitions onto their topic."""
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for key, definition in given:
            value = definitions.encode(definition)
            await producer.send_and_wait(
                settings.topic(DEFINITIONS), value, key=key.encode(), partition=0
            )


def challenge_fields(challenge: str) -> dict[str, Any]:
    """Return a challenge's definition."""
    number = CHALLENGES.index(challenge) + 1
    return {
        "id": challenge, "name": f"Spend {number}", "aggregationPeriod": "monthly",
        "completionTargetValue": TARGET,
    }  # fmt: skip


def milestone_fields(challenge: str) -> list[dict[str, Any]]:
    """Return the definitions of a challenge's milestones by rising target."""
    number = CHALLENGES.index(challenge) + 1
    return [
        {
            "id": f"00000000-0000-4000-8000-0000000000{number}{place}",
            "linkedSchemaRecordId": challenge, "name": f"For {target}",
            "milestoneTargetValue": target,
        }
        for place, target in MILESTONES.items()
    ]  # fmt: skip


def _definitions() -> Iterator[Definition]:
    for challenge in CHALLENGES:
        yield defined("challenge", **challenge_fields(challenge))
        for fields in milestone_fields(challenge):
            yield defined("milestone", **fields)


def defined(kind: str, **fields: object) -> Definition:
    """Return a definition with its key."""
    definition = definitions.parse(kind, fields)
    return definitions.definition_key(PROJECT, kind, definition.id), definition

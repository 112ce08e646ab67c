"""The three published examples as records of three clients: the rows they end in are the same."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import confluent_kafka
import psycopg

from deploy.stack.broker import tool
from schemas.settings import Settings
from tests.integration.api.serving import process
from tests.integration.processor.driving import NOW, Record, Worker, definition, produce, wait_until
from tests.integration.projections.driving import caught_up

SPEND = "aaaaaaaa-0000-4000-8000-000000000001"
VISITS = "aaaaaaaa-0000-4000-8000-000000000002"
STEPS = "aaaaaaaa-0000-4000-8000-000000000003"
REWARD = "aaaaaaaa-0000-4000-8000-000000000004"
CLIENTS = ("aiokafka", "confluent", "console")
AT = datetime.fromisoformat(NOW)
"""When it all happened: in a month that goes on, so that no challenge fails."""

# The record's own timestamp is the client's, so what depends on it is left out of the comparison.
PROGRESS = """
SELECT challenge_id::text, period_key, current_progress_value, status, challenge_started_at,
       challenge_completed_at, aggregation_method, aggregation_period, timezone
FROM milestream.challenge_progress WHERE project = %s ORDER BY challenge_id, period_key
"""
LOGS = """
SELECT challenge_id::text, activity_at, activity_id, unique_identifier, activity_value, status,
       period_key, progress_value, progress_status, achieved_milestone_ids::text, next_milestone_id
FROM milestream.challenge_logs WHERE project = %s ORDER BY challenge_id, unique_identifier
"""
REWARDS = """
SELECT milestone_id::text, linked_schema_slug, linked_schema_record_id, period_key, coupon_code
FROM milestream.reward_logs WHERE project = %s ORDER BY milestone_id
"""


def rules(project: str) -> list[Record]:
    """Return monthly spend as a sum, monthly visits as a count, weekly steps that complete."""
    monthly, weekly = {"aggregationPeriod": "monthly"}, {"aggregationPeriod": "weekly"}
    return [
        definition(
            "challenge", SPEND, project, name="Spend", completionTargetValue=500, **monthly
        ),
        definition(
            "challenge", VISITS, project, name="Visits", completionTargetValue=10,
            aggregationMethod="count", **monthly,
        ),
        definition(
            "milestone", REWARD, project, name="Fourth visit", linkedSchemaRecordId=VISITS,
            milestoneTargetValue=4,
        ),
        definition(
            "challenge", STEPS, project, name="Steps", completionTargetValue=100_000, **weekly
        ),
    ]  # fmt: skip


def logs(project: str) -> list[bytes]:
    """Return what one member did: an order, four visits and two walks."""

    def record(challenge: str, identifier: str, value: Any, at: datetime = AT) -> bytes:
        fields = {
            "project": project, "challengeId": challenge, "ownedBy": {"externalId": "joe"},
            "activityAt": at.isoformat(), "activityId": "did_it", "uniqueIdentifier": identifier,
        }  # fmt: skip
        return json.dumps(fields if value is None else {**fields, "activityValue": value}).encode()

    return [
        record(SPEND, "order-1", 87.5, AT.astimezone(timezone(timedelta(hours=1)))),
        *(record(VISITS, f"visit-{n}", None, AT + timedelta(seconds=n)) for n in range(1, 5)),
        record(STEPS, "walk-1", 60_000),
        record(STEPS, "walk-2", 40_000.25),
    ]


def send_with_aiokafka(settings: Settings, values: list[bytes]) -> None:
    produce(settings, [("challenge-logs", None, b"joe", value, ()) for value in values])


def send_with_confluent(settings: Settings, values: list[bytes]) -> None:
    """With librdkafka's default partitioner, which is not murmur2."""
    client = confluent_kafka.Producer({"bootstrap.servers": settings.kafka})
    for value in values:
        client.produce(settings.topic("challenge-logs"), value, b"joe")
    assert client.flush(60) == 0


def send_with_console(settings: Settings, values: list[bytes]) -> None:
    """With Kafka's own console producer: no keys, partitions as they come."""
    command = [
        *tool("org.apache.kafka.tools.ConsoleProducer"),
        "--bootstrap-server", settings.kafka, "--topic", settings.topic("challenge-logs"),
    ]  # fmt: skip
    subprocess.run(command, input=b"\n".join(values) + b"\n", timeout=300, check=True)


SENDERS: dict[str, Callable[[Settings, list[bytes]], None]] = {
    "aiokafka": send_with_aiokafka,
    "confluent": send_with_confluent,
    "console": send_with_console,
}


def rows(settings: Settings, query: str, project: str) -> list[Any]:
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query, (project,)).fetchall()


def test_three_clients_end_in_the_same_rows(settings: Settings, tmp_path: Path) -> None:
    produce(settings, [rule for project in CLIENTS for rule in rules(project)])
    with Worker(settings, "w") as worker, process(settings, "projector", tmp_path):
        worker.ready()
        for project in CLIENTS:
            SENDERS[project](settings, logs(project))
        for project in CLIENTS:
            wait_until(
                lambda project=project: len(rows(settings, LOGS, project)) == 7,  # type: ignore[misc]
                180,
                lambda project=project: f"{project}: {rows(settings, LOGS, project)}",  # type: ignore[misc]
            )
        asyncio.run(caught_up(settings))
    progress = rows(settings, PROGRESS, "aiokafka")
    assert [(row[1], str(row[2]), row[3]) for row in progress] == [
        (f"{AT:%Y-%m}", "87.5", "in_progress"),
        (f"{AT:%Y-%m}", "4", "in_progress"),
        (f"{AT:%G-W%V}", "100000.25", "completed"),
    ]
    assert len(rows(settings, REWARDS, "aiokafka")) == 1
    final = {project: rows(settings, PROGRESS, project) for project in CLIENTS}
    assert final["confluent"] == final["console"] == final["aiokafka"]
    rewards = {project: rows(settings, REWARDS, project) for project in CLIENTS}
    assert rewards["confluent"] == rewards["console"] == rewards["aiokafka"]
    # Clients that spread one member over partitions do not keep its order, so how far the progress
    # was after a single log may differ; the logs themselves do not.
    what = {project: [row[:7] for row in rows(settings, LOGS, project)] for project in CLIENTS}
    assert what["confluent"] == what["console"] == what["aiokafka"]

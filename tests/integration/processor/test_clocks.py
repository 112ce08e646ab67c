"""A test clock under a worker that is killed on the clock's way, beside a live project."""

import json
from collections import Counter
from typing import Any

from schemas import ids
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, TICKS, partition_for
from tests.integration.processor.driving import (
    CHALLENGE,
    Record,
    Worker,
    definition,
    drain,
    produce,
    wait_folded,
    wait_until,
)
from tests.integration.processor.test_verify import verify

MEMBERS = 1_500
FAILED = "milestream.challenge.failed.v1"
MOVED = "milestream.clock.moved.v1"
ARRIVES = "2031-11-01T00:00:00Z"
_BEGINS = "2026-11-01T00:00:00Z"


def log_of(settings: Settings, project: str, name: str) -> Record:
    """Return a log of what began in the month that every clock is in."""
    fields = {
        "project": project,
        "challengeId": CHALLENGE,
        "ownedBy": {"externalId": name},
        "activityAt": _BEGINS,
        "activityId": "purchase",
        "uniqueIdentifier": name,
        "activityValue": 1,
    }
    partition = partition_for(ids.member_id(project, name), settings.partitions)
    return (CHALLENGE_LOGS, partition, None, json.dumps(fields).encode(), ())


def move_of(settings: Settings, project: str, to: str) -> list[Record]:
    """Return the control records that move a project's clock."""
    value = json.dumps({"project": project, "now": to}).encode()
    return [(TICKS, partition, None, value, ()) for partition in range(settings.partitions)]


def told(settings: Settings, topic: str, type_: str) -> list[dict[str, Any]]:
    """Return the events of a type that were written so far."""
    found = [json.loads(record.value) for record in drain(settings, topic)]
    return [event for event in found if event["type"] == type_]


def await_more(worker: Worker, failed: int) -> None:
    """Wait until more challenges have failed than so many, or all: a quick worker is through."""
    wanted = min(failed + 1, MEMBERS)
    wait_until(
        lambda: len(told(worker.settings, "progress-events", FAILED)) >= wanted,
        120,
        worker.text,
        worker.process,
    )


def test_a_worker_killed_on_the_clock_s_way_loses_and_repeats_nothing(settings: Settings) -> None:
    monthly = {"name": "Spend", "aggregationPeriod": "monthly", "completionTargetValue": 100}
    produce(
        settings,
        [
            definition("project", "lab", "lab", clock="manual"),
            definition("challenge", CHALLENGE, "lab", **monthly),
            definition("challenge", CHALLENGE, "shop", **monthly),
            *(log_of(settings, "lab", f"user-{n}") for n in range(MEMBERS)),
        ],
    )
    with Worker(settings, "w") as worker:
        worker.ready()
        wait_folded(settings, MEMBERS, 240, worker)
        produce(settings, move_of(settings, "lab", ARRIVES))
        for life in range(2, 4):
            await_more(worker, len(told(settings, "progress-events", FAILED)))
            worker.kill()
            if life == 3:
                worker.wipe()  # the clock's way is in the changelog as well
            produce(settings, [log_of(settings, "shop", f"user-{life}")])
            worker.start()
            worker.ready(times=1 if life == 3 else life)
        wait_until(
            lambda: len(told(settings, "clock-events", MOVED)) == settings.partitions,
            120,
            worker.text,
            worker.process,
        )
        wait_folded(settings, MEMBERS + 2, 240, worker)
    failed = told(settings, "progress-events", FAILED)
    assert Counter(event["source"] for event in failed) == {"/milestream/lab": MEMBERS}
    assert max(Counter(event["id"] for event in failed).values()) == 1
    assert {event["time"] for event in failed} == {"2026-12-01T00:00:00Z"}
    moved = told(settings, "clock-events", MOVED)
    assert sorted(event["data"]["partition"] for event in moved) == list(range(settings.partitions))
    assert {event["data"]["now"] for event in moved} == {ARRIVES}
    done = verify(settings)
    assert done.returncode == 0, done.stdout + done.stderr

"""Imported logs with 2 % duplicates and five SIGKILLs: the tables equal a recomputation."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from schemas import ids
from schemas.settings import Settings
from tests.integration.api.serving import process, run
from tests.integration.processor.driving import (
    CHALLENGE,
    MILESTONES,
    TARGET,
    Worker,
    definitions,
    produce,
    wait_until,
)
from tests.integration.projections.driving import caught_up
from tests.sizes import PAUSES, RECORDS

MEMBERS = 20_000
Key = tuple[str, str]
"""A member's id, and a period's key."""


class Expected:
    """What plain Python makes of the logs."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.sums: dict[Key, Decimal] = {}
        self.completed: dict[Key, datetime] = {}
        self.rewards: set[tuple[str, str, str]] = set()

    def take(self, member: str, identifier: str, at: datetime, value: Decimal) -> None:
        """Fold one log."""
        if (member, identifier) in self.seen:
            return
        self.seen.add((member, identifier))
        key = (ids.member_id("default", member), f"{at:%Y-%m}")
        total = self.sums[key] = self.sums.get(key, Decimal(0)) + value
        if total >= TARGET:
            self.completed.setdefault(key, at)
        for milestone, target in MILESTONES.items():
            if total >= target:
                self.rewards.add((*key, milestone))


def lines(expected: Expected) -> Iterator[str]:
    """Make the logs, spread over the last 60 days; every fiftieth repeats an earlier one."""
    chance = random.Random(20261121)
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
    past: list[tuple[str, str, datetime, str]] = []
    for number in range(RECORDS):
        if past and chance.random() < 0.02:
            member, identifier, at, value = chance.choice(past)
        else:
            member = f"member-{chance.randrange(MEMBERS)}"
            identifier, value = f"order-{number}", f"{chance.randrange(1, 9000) / 100:.2f}"
            at = first + timedelta(seconds=chance.randrange(60 * 86_400))
            past.append((member, identifier, at, value))
        expected.take(member, identifier, at, Decimal(value))
        yield (
            f'{{"challengeId":"{CHALLENGE}","ownedBy":{{"externalId":"{member}"}},'
            f'"activityAt":"{at:%Y-%m-%dT%H:%M:%SZ}","activityId":"purchase",'
            f'"uniqueIdentifier":"{identifier}","activityValue":{value}}}\n'
        )


def ask(settings: Settings, query: str) -> list[Any]:
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query).fetchall()


def logged(settings: Settings) -> int:
    return int(ask(settings, "SELECT count(*) FROM milestream.challenge_logs")[0][0])


def test_the_tables_equal_a_recomputation_to_the_last_digit(
    settings: Settings, tmp_path: Path
) -> None:
    expected = Expected()
    file = tmp_path / "logs.ndjson"
    with file.open("w") as out:
        out.writelines(lines(expected))
    produce(settings, definitions())
    importing = threading.Thread(target=run, args=(settings, "import", "challenge-logs", str(file)))
    worker = Worker(settings, "w")
    with process(settings, "projector", tmp_path):
        importing.start()
        try:
            chance = random.Random(5)
            for life in range(1, 6):
                worker.start()
                worker.ready(times=life)
                time.sleep(chance.uniform(0.3, 2) * PAUSES)
                worker.kill()
            worker.start()
            wait_until(
                lambda: logged(settings) >= len(expected.seen),
                400,
                lambda: f"{logged(settings)} of {len(expected.seen)} logs\n{worker.text()[-2000:]}",
            )
            asyncio.run(caught_up(settings))
        finally:
            importing.join()
            worker.kill()
    assert logged(settings) == len(expected.seen)
    progress = ask(
        settings,
        "SELECT member_id::text, period_key, current_progress_value, status, challenge_completed_at"
        " FROM milestream.challenge_progress",
    )
    assert {(m, p): value for m, p, value, _, _ in progress} == expected.sums
    assert {(m, p): at for m, p, _, status, at in progress if status == "completed"} == (
        expected.completed
    )
    rewards = ask(
        settings,
        "SELECT member_id::text, period_key, milestone_id::text FROM milestream.reward_logs",
    )
    assert len(rewards) == len(expected.rewards)
    assert set(rewards) == expected.rewards
    reached = ask(settings, "SELECT count(*) FROM milestream.milestones_reached")
    assert reached == [(len(expected.rewards),)]

"""One event leads to twenty logs, and one worker has sixteen partitions at once.

All of them fold on one thread while others have transactions open. A transaction that waits for too
many folds outlives its time; its worker is then fenced by the broker, takes its piece again, and
would be fenced again.
"""

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.topics_create import create_topics
from processor.open_transactions import MAX_OPEN
from schemas import ids
from schemas.settings import Settings
from schemas.topics import EVENTS, MEMBER_COMMANDS, partition_for
from tests.integration.processor.driving import (
    NOW,
    Record,
    Worker,
    definition,
    drain,
    produce,
    values,
    wait_folded,
)

PARTITIONS, CHALLENGES, MEMBERS, EVENTS_EACH = 16, 20, 64, 20
AMOUNT = Decimal("1.25")

COUNTED = """
import sys
from processor.transactions import PartitionProducer
write = PartitionProducer.write
is_open = most = 0
async def counted(self, *arguments):
    global is_open, most
    is_open += 1
    if is_open > most:
        most = is_open
        print(f"transactions open at once: {most}", file=sys.stderr, flush=True)
    try:
        return await write(self, *arguments)
    finally:
        is_open -= 1
PartitionProducer.write = counted
"""


@pytest.fixture
def settings(fresh_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Fresh topics with sixteen partitions."""
    made = fresh_settings(partitions=PARTITIONS, tick_seconds=2)
    given = made.model_copy(update={"data_dir": tmp_path / "data", "metrics_port": 0})
    create_topics(given)
    return given


def rules() -> list[Record]:
    """Return an event and the challenges that it feeds."""
    return [
        definition("event", "buy", title="Buy", type="FIXED", reward={"default": 1}),
        *(
            definition(
                "challenge", f"cccccccc-0000-4000-8000-{number:012d}", name=f"Number {number}",
                aggregationPeriod="all_time", completionTargetValue=1_000_000, eventIds=["buy"],
                valueField="amount",
            )
            for number in range(CHALLENGES)
        ),
    ]  # fmt: skip


def of_member(topic: str, member: str, value: dict[str, object], settings: Settings) -> Record:
    """Return a record where its member's records belong."""
    id_ = ids.member_id("default", member)
    partition = partition_for(id_, settings.partitions)
    return topic, partition, id_.encode(), json.dumps(value, default=float).encode(), ()


def history(settings: Settings) -> list[Record]:
    """Return the members, and some events of each."""
    names = [f"member-{number}" for number in range(MEMBERS)]
    people = [
        of_member(MEMBER_COMMANDS, name, {"type": "upsert-member", "externalId": name}, settings)
        for name in names
    ]
    events = [
        of_member(
            EVENTS,
            name,
            {
                "eventId": "buy", "userId": name, "idempotencyKey": f"{name}-{number}",
                "occurredAt": NOW, "metadata": {"amount": AMOUNT},
            },
            settings,
        )
        for number in range(EVENTS_EACH)
        for name in names
    ]  # fmt: skip
    return [*people, *events]


def test_sixteen_partitions_fan_out_side_by_side_and_none_is_fenced(settings: Settings) -> None:
    produce(settings, rules())
    records = history(settings)
    produce(settings, records)
    with Worker(settings, "fan-out", COUNTED) as worker:
        worker.ready()
        wait_folded(settings, len(records), 240, worker)
        assert worker.process.poll() is None
        said = worker.text()
    assert "is fenced" not in said, said[-3000:]
    assert "transactions open at once: 2" in said, "nothing was side by side"
    assert f"transactions open at once: {MAX_OPEN + 1}" not in said
    check(settings)


def check(settings: Settings) -> None:
    """Each event led to one log in each challenge, and the sums are right."""
    assert drain(settings, "dead-letters") == []
    logs = [
        event
        for event in values(settings, "progress-events")
        if event["type"] == "milestream.challenge_log.recorded.v1"
    ]
    assert max(Counter(event["id"] for event in logs).values()) == 1
    assert len(logs) == MEMBERS * EVENTS_EACH * CHALLENGES
    final: dict[tuple[str, str], Decimal] = {}
    for event in logs:
        shown = event["data"]["challengeProgress"]
        place = event["subject"], event["data"]["challengeId"]
        final[place] = max(final.get(place, Decimal(0)), shown["currentProgressValue"])
    assert len(final) == MEMBERS * CHALLENGES
    assert set(final.values()) == {AMOUNT * EVENTS_EACH}

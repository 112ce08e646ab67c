"""Kafka Streams is held against Milestream with events only if it does all that is to be done."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from deploy.clients import partitions_of_topic, reader
from schemas import ids
from schemas.settings import Settings
from tests.bench.__main__ import time_events
from tests.bench.events import LEAST
from tests.bench.peers import EVENT_OUTPUT_BYTES, MILESTONES, event_output_topic
from tests.bench.report import Report
from tests.bench.workload import PROJECT, TARGET, Workload
from tests.stack import FreshSettings

SMALL = Workload(records=3000, members=120)
"""Some 25 events of 45 a member: enough to complete the challenge, too few for the limit."""
Output = Mapping[str, Any]


class Wanted(NamedTuple):
    """What the events come to: outputs by kind, points and progress by member."""

    kinds: Counter[str]
    points: Counter[str]
    progress: Mapping[str, Decimal]


def recomputed(path: Path) -> Wanted:
    """Add the events up, in an order of their own: a sum and what it crosses have none."""
    kinds, points = Counter[str](), Counter[str]()
    progress: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in set(path.read_bytes().splitlines()):
        event = msgspec.json.decode(line)
        member = ids.member_id(PROJECT, event["userId"])
        amount = Decimal(str(event["metadata"]["amount"]))
        kinds["event.logged"] += 1
        if amount > LEAST:
            kinds.update(("points.granted", "challenge_log.recorded"))
            points[member] += int(amount.quantize(Decimal(1), ROUND_HALF_UP))
            progress[member] += amount
    for member, total in progress.items():
        reached = sum(target <= total for target in MILESTONES.values())
        kinds.update({"milestone.reached": reached, "reward.granted": reached})
        if total >= TARGET:
            kinds.update(("challenge.completed", "points.granted"))
            points[member] += 100
    return Wanted(kinds, points, progress)


async def written(settings: Settings) -> Sequence[Output]:
    """Return all that is committed, in the order of each partition."""
    found: list[Output] = []
    for topic in EVENT_OUTPUT_BYTES:
        partitions = await partitions_of_topic(settings, settings.topic(event_output_topic(topic)))
        async with reader(settings, "read_committed") as consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(at) < ends[at] for at in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [msgspec.json.decode(record.value) for record in records]
    return found


def test_kafka_streams_gives_what_the_events_come_to(
    fresh_settings: FreshSettings, tmp_path: Path
) -> None:
    settings = fresh_settings()
    report = time_events(settings, SMALL, Report({}), tmp_path)
    assert report.events is not None
    assert report.events.rate > 0
    (found,) = report.findings
    assert found.ratio is not None

    outputs = asyncio.run(written(settings))
    wanted = recomputed(tmp_path / "events" / "events.ndjson")
    assert Counter(output["kind"] for output in outputs) == wanted.kinds
    assert wanted.kinds["challenge.completed"] > 0
    assert wanted.kinds["event.logged"] > wanted.kinds["challenge_log.recorded"] > 0
    points, balance = Counter[str](), dict[str, int]()
    progress: dict[str, Decimal] = {}
    for output in outputs:
        member, data = output["member"], output["data"]
        if output["kind"] == "points.granted":
            points[member] += data["points"]
            balance[member] = data["balance"]
        elif output["kind"] == "challenge_log.recorded":
            progress[member] = Decimal(str(data["progress"]))
    assert points == wanted.points
    assert balance == dict(wanted.points)
    assert progress == wanted.progress
    sizes = [len(msgspec.json.encode(output)) for output in outputs]
    assert abs(sum(sizes) / len(sizes) / 1250 - 1) < 0.25, "not about as large as Milestream's"

"""Kafka Streams is held against Milestream only if it does the work: what the plain loop writes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from deploy.clients import admin_client, partitions_of_topic, reader
from deploy.importing.transfer import Import, Watcher, run_import
from deploy.topics_create import ensure_topics
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.measure import time_peer
from tests.bench.peers import CHANGELOG, OUTPUTS, peer
from tests.bench.workload import Workload, write_logs
from tests.stack import FreshSettings

SMALL = Workload(records=3000, members=60)
Outputs = dict[TopicPartition, list[dict[str, Any]]]


@pytest.fixture
async def settings(fresh_settings: FreshSettings, tmp_path: Path) -> Settings:
    """Settings on whose topics a few logs wait to be folded."""
    made: Settings = fresh_settings()
    await ensure_topics(made)
    async with admin_client(made) as admin:
        topics = [made.topic(name) for name in (OUTPUTS, CHANGELOG)]
        await admin.create_topics([NewTopic(name, made.partitions, 1) for name in topics])
    path = tmp_path / "logs"
    write_logs(SMALL, path)
    await run_import(made, Import(CHALLENGE_LOGS, str(path), "ndjson"), Watcher())
    return made


async def run_peer(settings: Settings, module: str, directory: Path) -> None:
    """Fold all the logs and end."""
    measured = peer(module)
    if measured.prepare is not None:
        measured.prepare()
    environment = {
        **os.environ,
        **settings.to_env(),
        "BENCH_DIR": str(directory),
        "BENCH_OUTPUT_BYTES": "500",
    }
    await time_peer(settings, measured, SMALL.records, environment)


async def outputs(settings: Settings) -> Outputs:
    """Return all that is committed, by partition."""
    partitions = await partitions_of_topic(settings, settings.topic(OUTPUTS))
    found: Outputs = {partition: [] for partition in partitions}
    async with reader(settings, "read_committed") as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(at) < ends[at] for at in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found[partition] += [msgspec.json.decode(record.value) for record in records]
    return found


def after(before: Outputs, whole: Outputs) -> Outputs:
    """Return what came later."""
    return {partition: made[len(before[partition]) :] for partition, made in whole.items()}


def count(found: Outputs) -> int:
    """Return how many there are."""
    return sum(map(len, found.values()))


VARIANTS: Sequence[str] = ("kafka_streams.at_least_once_cached", "kafka_streams.exactly_once")
"""Each setting once; the other two peers cross them."""


async def test_kafka_streams_gives_the_outputs_of_the_plain_loop(
    settings: Settings, tmp_path: Path
) -> None:
    await run_peer(settings, "plain_loop", tmp_path)
    wanted = whole = await outputs(settings)
    assert 0 < count(wanted) < SMALL.records  # duplicates have none
    assert {name for made in wanted.values() for one in made for name in one["reached"]} == {
        1,
        2,
        3,
    }
    for module in VARIANTS:
        before = whole
        await run_peer(settings, module, tmp_path)
        whole = await outputs(settings)
        assert after(before, whole) == wanted, module

"""The load of the schedules, folded without servers: the reference agrees with the fold."""

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.instants import format_instant, parse_instant
from schemas.settings import Settings
from schemas.topics import TICKS
from tests.event_spec import tick
from tests.faults.load import Maker, changes, rules
from tests.faults.replay import PartitionReference
from tests.integration.processor.driving import Record
from tests.properties.beside import ABOUT, as_reference, by_record, check_alike, events_of
from tests.spec import NOW, Defined, Happened, Partition, Sent, millis


@dataclass(frozen=True)
class Read:
    """A record as a consumer gives it."""

    offset: int
    timestamp: int
    value: bytes | None
    headers: list[tuple[str, bytes]]


RARE = {"challenge.completed", "challenge.reopened", "reward.revoked", "points.activated"}
"""What not every seed has in so few records."""


@pytest.mark.parametrize("seed", range(3))
def test_the_reference_makes_of_the_load_what_the_fold_does(seed: int, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, partitions=1)
    maker = Maker(settings, random.Random(f"{seed}:load"), "load", parse_instant(NOW))
    partition, reference = Partition(compared=False), PartitionReference(0, 1)
    rng, changed = random.Random(f"{seed}:changes"), changes(random.Random(seed))
    for record in rules():
        _define(partition, reference, record)
    chunks: list[Happened] = []
    everything = [*maker.people(), *maker.batch(keyed=True, size=1_500)]
    for number, (topic, _, key, value, headers) in enumerate(everything):
        if changed and rng.random() < 0.02:
            _define(partition, reference, changed.pop())
        timestamp = millis(NOW) + number
        sent = Sent(topic, value, key, timestamp, tuple(headers))
        offset = partition.offsets[topic]
        chunks.append(partition.fold(sent))
        reference.fold(topic, Read(offset, timestamp, value, list(headers)))
    for days in (1, 8, 40):
        sent = tick(NOW).arriving(format_instant(parse_instant(NOW) + timedelta(days=days)))
        chunks.append(partition.fold(sent))
        reference.fold(TICKS, sent)
    happened = by_record(
        (int(event["sequence"]), event["type"], as_reference(event))
        for event in events_of(chunks)
        if event["type"] in ABOUT
    )
    expected = by_record(reference.facts)
    check_alike(happened, expected)
    types = {type_ for _, type_ in expected}
    missing = ABOUT.keys() - RARE - types
    assert not missing


def _define(partition: Partition, reference: PartitionReference, record: Record) -> None:
    _, _, key, value, _ = record
    assert key is not None
    project, kind, id_ = key.decode().split("/", 2)
    partition.define(_Raw(kind, id_, None, project, value))
    reference.define(key, value)


@dataclass(frozen=True)
class _Raw(Defined):
    """A definition that is encoded already."""

    raw: bytes | None = None

    @property
    def value(self) -> bytes | None:
        """The record's value."""
        return self.raw

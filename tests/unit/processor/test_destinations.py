"""Which replies can arrive, by what the cluster says of its topics."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pytest

from processor import destinations
from processor.destinations import Destinations, room
from schemas.kafka.descriptions import TopicDescription
from schemas.settings import Settings

SETTINGS = Settings.of({"reply_topics": ("asked",), "database_url": "postgresql://127.0.0.1/none"})


class Told:
    """What a cluster would say, one answer after the other; the last one stays."""

    def __init__(self, *answers: Mapping[int, int]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def topics(self, _names: Iterable[str]) -> Mapping[str, TopicDescription]:
        """Say which partitions of the topic have leaders."""
        self.asked += 1
        leaders = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return {"asked": TopicDescription(UUID(int=1), leaders)} if leaders else {}


def told(*answers: Mapping[int, int]) -> Destinations:
    describer: Any = Told(*answers)
    return Destinations(SETTINGS, describer)


async def test_a_partition_that_is_there_is_reached_and_one_that_is_not_is_not() -> None:
    places = {("asked", 0), ("asked", 5), ("never", 0)}
    assert await told({0: 1}).unreachable(places) == {("asked", 5), ("never", 0)}


async def test_a_reply_waits_for_a_leader_that_comes() -> None:
    assert await told({0: -1}, {0: -1}, {0: 2}).unreachable({("asked", 0)}) == set()


async def test_a_reply_waits_for_a_leader_that_does_not_come_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(destinations, "LEADER_SECONDS", 0.3)
    describer: Any = Told({0: -1, 1: 1})
    asking = Destinations(SETTINGS, describer)
    places = {("asked", 0), ("asked", 1)}
    assert await asking.unreachable(places) == {("asked", 0)}
    asked = describer.asked
    assert asked > 1
    assert await asking.unreachable(places) == {("asked", 0)}
    assert describer.asked == asked


async def test_a_topic_that_was_deleted_is_not_waited_for() -> None:
    assert await told({}).unreachable({("asked", 0)}) == {("asked", 0)}


def test_a_batch_that_cannot_be_compressed_still_fits() -> None:
    for limit in (1_000, 1_048_588, 4_259_840):
        largest = room(limit)
        assert largest + largest // 256 + 61 + 18 + 3 * (1 + largest // 131_072) <= limit

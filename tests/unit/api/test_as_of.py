"""`?asOf=`: which moments may be asked about, and where outputs had come to then."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from fastapi import Request

from api.http.moments import as_of
from api.http.problems import Problem
from api.kafka import past
from schemas.places import place
from schemas.topics import partition_for

MOMENT = datetime(2020, 11, 21, 10, 30, 0, 1500, tzinfo=UTC)


def asking(query: str) -> Request:
    """A request with this query."""
    return Request({"type": "http", "headers": [], "query_string": query.encode()})


def test_a_moment_is_any_time_that_has_been() -> None:
    assert as_of(asking("")) is None
    assert as_of(asking("asOf=2020-11-21T10:30:00.0015Z")) == MOMENT
    assert as_of(asking("asOf=2020-11-21T11:30:00.0015009%2B01:00")) == MOMENT
    assert as_of(asking(f"asOf={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")) is not None
    assert as_of(asking("asOf=0001-01-01T00:00:00Z")) == datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2020-11-21",
        "2020-11-21T10:30:00",  # naive
        "2020-11-21T10:30:00+01:00",  # a plus that was not encoded is a space
        "1600000000",
        "2020-02-30T00:00:00Z",
        "0001-01-01T00:00:00%2B01:00",
        "9999-12-31T23:59:59Z",
    ],
)
def test_what_is_no_moment_or_yet_to_come_is_refused(text: str) -> None:
    _refused(text)


def test_a_minute_ahead_is_yet_to_come() -> None:
    _refused(f"{datetime.now(UTC) + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}")


def _refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        as_of(asking(f"asOf={text}"))
    assert refused.value.status == 400
    assert [field for field, _ in refused.value.errors] == ["asOf"]


class Broker:
    """Two partitions, with the times of their records."""

    def __init__(self, *times: list[int]) -> None:
        self.times = {TopicPartition("t-progress-events", n): each for n, each in enumerate(times)}
        self.wanted: Mapping[Any, int] = {}
        self.behind = False
        self.away = False

    @property
    def log_ends(self) -> "Broker":
        return self

    def partitions(self, models: Collection[str]) -> Mapping[TopicPartition, list[Any]]:
        return {
            each: [(model, "progress-events", each.partition) for model in models]
            for each in self.times
        }

    async def of(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.away:
            raise KafkaConnectionError
        return {each: len(self.times[each]) for each in partitions}

    async def at(
        self, partitions: Collection[TopicPartition], millis: int
    ) -> Mapping[TopicPartition, int | None]:
        assert millis >= 0
        return {
            each: next((n for n, at in enumerate(self.times[each]) if at >= millis), None)
            for each in partitions
        }

    async def wait_for(self, wanted: Mapping[Any, int]) -> bool:
        self.wanted = wanted
        return not self.behind


async def ends_at(broker: Any, moment: datetime) -> list[int]:
    found = await past.at(broker, moment, ("challenge_progress",))
    assert found.moment == moment
    return list(found.ends["progress-events"])


async def test_what_was_written_in_the_moments_own_millisecond_had_been_written() -> None:
    millis = int(MOMENT.timestamp() * 1000)
    broker = Broker([millis - 1, millis, millis, millis + 1], [millis + 1])
    assert await ends_at(broker, MOMENT) == [place(0, 3), place(1, 0)]
    assert list(broker.wanted.values()) == [3, 0], "tables are waited for up to there"
    assert await ends_at(broker, MOMENT + timedelta(milliseconds=1)) == [place(0, 4), place(1, 1)]
    assert await ends_at(broker, MOMENT - timedelta(days=1)) == [place(0, 0), place(1, 0)]
    before_all_time = datetime(1, 1, 1, tzinfo=UTC)
    assert await ends_at(broker, before_all_time) == [place(0, 0), place(1, 0)]


async def test_a_clock_that_went_back_hides_nothing_in_the_middle() -> None:
    millis = int(MOMENT.timestamp() * 1000)
    broker = Broker([millis, millis + 5, millis], [])
    assert await ends_at(broker, MOMENT) == [place(0, 1), place(1, 0)]


async def test_an_answer_that_might_be_older_is_none() -> None:
    broker = Broker([], [])
    broker.behind = True
    with pytest.raises(Problem) as refused:
        await ends_at(broker, MOMENT)
    assert refused.value.status == 503
    broker.away = True
    with pytest.raises(Problem) as refused:
        await ends_at(broker, MOMENT)
    assert refused.value.status == 503


def test_a_member_has_the_end_of_its_own_partition() -> None:
    ends = [place(n, 10 + n) for n in range(4)]
    found = past.Past(MOMENT, {"points-events": ends})
    for member in ("a", "b", "c", "d", "e"):
        assert found.end("points-events", member) == ends[partition_for(member, 4)]

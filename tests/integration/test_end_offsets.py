"""Where topics end: asked in our own way, it is what aiokafka would say."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import NotLeaderForPartitionError

from deploy.topics_create import ensure_topics
from schemas.kafka import end_offsets
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, EVENTS, MEMBER_COMMANDS
from tests.stack import FreshSettings


def places(settings: Settings) -> list[TopicPartition]:
    """Return nine partitions of three topics."""
    kept = [TopicPartition(settings.topic(DEFINITIONS), 0)]
    return kept + [
        TopicPartition(settings.topic(topic), number)
        for topic in (EVENTS, MEMBER_COMMANDS)
        for number in range(4)
    ]


async def test_ends_are_those_that_aiokafka_tells(fresh_settings: FreshSettings) -> None:
    settings = fresh_settings(partitions=4)
    await ensure_topics(settings)
    asked = places(settings)
    committed = AIOKafkaProducer(**settings.kafka_options())
    open_ = AIOKafkaProducer(
        **settings.kafka_options(), transactional_id=f"{settings.topic_prefix}open"
    )
    async with (
        committed,
        open_,
        EndOffsets(settings) as stable,
        EndOffsets(settings, "read_uncommitted") as whole,
    ):
        for number, place in enumerate(asked):
            for _ in range(number):
                await committed.send_and_wait(place.topic, b"x", partition=place.partition)
        await open_.begin_transaction()
        await open_.send_and_wait(asked[3].topic, b"x", partition=asked[3].partition)
        for ends in (stable, whole):
            theirs = await ends._client.end_offsets(asked)
            assert await ends._ask(asked) == theirs
            assert await ends.of(asked) == theirs
        assert (await whole.of(asked))[asked[3]] == (await stable.of(asked))[asked[3]] + 1
        await open_.abort_transaction()


async def test_where_anything_is_out_of_the_ordinary_aiokafka_asks(
    fresh_settings: FreshSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader that is not known yet, one that moved, a broker of another version."""
    settings = fresh_settings(partitions=4)
    await ensure_topics(settings)
    asked = places(settings)
    async with EndOffsets(settings) as ends:
        assert set((await ends.of(asked)).values()) == {0}  # nothing is known of the topics

        async def refused(*_: Any) -> Any:
            raise NotLeaderForPartitionError

        monkeypatch.setattr(ends, "_ask", refused)
        assert set((await ends.of(asked)).values()) == {0}
        monkeypatch.undo()
        monkeypatch.setattr(end_offsets, "_SAME_AS_V3", ())
        assert set((await ends.of(asked)).values()) == {0}

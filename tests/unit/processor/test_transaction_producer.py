"""A chunk's transaction is over in time whatever the broker does, and replies never stop it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from processor.domain.effects import Answer, Effects, Output
from processor.transactions import Overdue, PartitionProducer, Superseded, producer
from processor.transactions.batches import Batch
from processor.transactions.packing import encode_headers
from schemas.outputs import CONTENT_TYPE, PROJECT
from schemas.settings import Settings
from schemas.topics import (
    DEAD_LETTERS,
    MEMBER_EVENTS,
    MEMBER_KEYS,
    MIB,
    PROGRESS_EVENTS,
    REPLIES,
)
from schemas.tracing import HEADER

GONE = ("gone", 0)


class Destinations:
    """Topics that take a MiB, and one that is not there."""

    def limit(self, _topic: str) -> int:
        return MIB

    async def unreachable(self, places: set[tuple[str, int]]) -> set[tuple[str, int]]:
        return places & {GONE}


class Writer:
    """Takes batches down, or never comes to an end."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs
        self.written: list[tuple[TopicPartition, int, int]] = []

    async def fence(self, check: Callable[[], None]) -> None:
        check()
        await self._end()

    async def write(
        self, batches: Mapping[TopicPartition, Sequence[Batch]]
    ) -> Mapping[TopicPartition, int]:
        await self._end()
        self.written = [
            (at, batch.count, batch.size) for at, made in batches.items() for batch in made
        ]
        return dict.fromkeys(batches, 1)

    async def _end(self) -> None:
        if self._hangs:
            await asyncio.sleep(10)
            raise AssertionError("it was waited for")


def owner(writer: Writer) -> PartitionProducer:
    made: Any = PartitionProducer(Settings(), 0, Destinations())  # type: ignore[arg-type]
    made._writer = writer
    made._brokers = SimpleNamespace()
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize("seconds", ["WRITE_SECONDS", "FENCE_SECONDS"])
async def test_what_the_broker_does_not_answer_is_given_up(
    seconds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, seconds, 0.01)
    hanging = owner(Writer(hangs=True))
    asked = hanging.write(Effects(writes={b"k": b"v"})) if "WRITE" in seconds else hanging.fence()
    with pytest.raises(Overdue, match=r"partition 0.* 0\.01 s"):
        await asked


async def test_a_partition_that_is_about_to_move_is_not_taken() -> None:
    moving = owner(Writer())
    moving._is_ours = lambda: False
    with pytest.raises(Superseded):
        await moving.fence()


async def test_replies_are_held_to_what_their_topic_takes() -> None:
    writer = Writer()
    sizes = [400_000, 400_000, 400_000, MIB]
    answers = [Answer(REPLIES, 1, b"c", bytes(size)) for size in sizes]
    answers.append(Answer(*GONE, b"c", b"v"))
    await owner(writer).write(Effects(writes={b"k": b"v"}, answers=answers))
    replies = [(count, size) for at, count, size in writer.written if at.topic == REPLIES]
    assert [count for count, _ in replies] == [2, 1]
    assert all(size < MIB for _, size in replies)
    assert {at.topic for at, *_ in writer.written} == {REPLIES, owner(writer)._changelog.topic}


async def test_what_is_no_more_is_written_without_value_beside_what_is() -> None:
    effects = Effects(writes={b"k": b"v"})
    effects.add(MEMBER_EVENTS, b"ben", b"{}")
    effects.forget("ann", "acme")
    effects.outputs[MEMBER_KEYS] = [Output(b"ann/key-1", b"")]
    batches = owner(Writer())._batches(effects, ())
    bodies = {at.topic: (batch.body, batch.count) for at, (batch,) in batches.items()}
    members, count = bodies[MEMBER_EVENTS]
    assert count == 2
    assert (b"\x06ben\x04{}" in members, b"\x06ann\x01" in members) == (True, True)
    assert members.endswith(encode_headers([(PROJECT, b"acme")]))
    keys, count = bodies[MEMBER_KEYS]
    assert count == 1
    assert keys.endswith(b"ann/key-1\x01" + encode_headers([]))


async def test_outputs_of_traced_records_say_so_and_all_others_stay_as_they_are() -> None:
    effects = Effects(writes={b"k": b"v"})
    for member in (b"ann", b"ben"):
        effects.add(PROGRESS_EVENTS, member, b"{}")
        effects.add(DEAD_LETTERS, member, b"{}")
    plain = owner(Writer())._batches(effects, ())
    traced = owner(Writer())._batches(effects, (), {b"ann": b"00-1-2-01"})
    bodies = {at.topic: [batch.body for batch in batches] for at, batches in traced.items()}
    (progress,) = bodies.pop(PROGRESS_EVENTS)
    own = encode_headers([CONTENT_TYPE, (HEADER, b"00-1-2-01")])
    assert progress.count(own) == progress.count(HEADER.encode()) == 1
    assert progress.endswith(b"\x06ben\x04{}" + encode_headers([CONTENT_TYPE]))
    assert bodies == {
        at.topic: [batch.body for batch in batches]
        for at, batches in plain.items()
        if at.topic != PROGRESS_EVENTS
    }

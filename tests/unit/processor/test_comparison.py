"""What ``milestream verify`` finds, and what privacy lets it pass over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from processor.comparison import Comparison, Difference
from processor.domain.fold import ChunkLogged, Part
from schemas.topics import CHUNK_LOG, DEAD_LETTERS, MEMBER_EVENTS, OUTPUT_TOPICS, PROGRESS_EVENTS
from tests.event_spec import tick
from tests.spec import (
    ANN,
    BEN,
    Happened,
    Partition,
    Sent,
    ann,
    ben,
    challenge,
    command,
    log,
    upsert,
)

forget = command("forget-member", userId="ann")


@dataclass(frozen=True)
class Written:
    """A record on an output topic."""

    offset: int
    key: bytes | None
    value: bytes | None


class Lying:
    """A topic's records, read forward."""

    def __init__(self, records: Sequence[Written]) -> None:
        self.records = list(records)

    async def next(self) -> Written | None:
        return self.records.pop(0) if self.records else None

    async def peek(self) -> Written | None:
        return self.records[0] if self.records else None


class History:
    """Chunks, and what came of them."""

    def __init__(self, *chunks: Sequence[Sent]) -> None:
        partition = Partition(compared=False)
        partition.define(challenge(endsAt="2026-11-22T00:00:00Z"))
        self.parts: list[list[Part]] = []
        self.happened: list[Happened] = []
        self.topics: dict[str, list[Written]] = {name: [] for name in OUTPUT_TOPICS}
        for chunk in chunks:
            records = [replace(each, headers=()) for each in chunk]
            self.parts.append([Part(each.topic, [each]) for each in records])
            self.happened.append(partition.fold(*records))
            for name in OUTPUT_TOPICS:
                lying = self.topics[name]
                lying += [
                    Written(len(lying) + n, o.key, o.value or None)
                    for n, o in enumerate(self.happened[-1].outputs(name))
                ]

    def compact(self) -> None:
        """Keep the last event of each member alone."""
        members = self.topics[MEMBER_EVENTS]
        last = {each.key: each.offset for each in members}
        self.topics[MEMBER_EVENTS] = [e for e in members if last[e.key] == e.offset]

    def change(self, topic: str, how: Callable[[list[Written]], list[Written]]) -> None:
        self.topics[topic] = how(self.topics[topic])

    async def compare(self, written: "History", *forgotten: str, goes_on: bool = False) -> int:
        """Hold what this gives against what another wrote."""
        cursors: Any = {name: Lying(records) for name, records in written.topics.items()}
        comparison = Comparison(cursors, set(forgotten))
        for parts, happened in zip(self.parts, self.happened, strict=True):
            (chunk,) = happened.outputs(CHUNK_LOG)
            outputs = {k: v for k, v in happened.effects.outputs.items() if k != CHUNK_LOG}
            logged = msgspec.json.decode(chunk.value, type=ChunkLogged)
            await comparison.chunk(logged, parts, outputs)

        async def meanwhile() -> bool:
            return goes_on

        await comparison.end(meanwhile)
        return comparison.compared


LEE, POE = upsert("ann", lastName="Lee"), upsert("ann", lastName="Poe")
PLAIN = ([ann, ben, log(value=5)], [LEE, log("log-2", value=6)], [POE])


async def test_what_is_the_same_is_compared_whole() -> None:
    assert await History(*PLAIN).compare(History(*PLAIN)) == 6


async def test_earlier_events_of_members_may_be_gone() -> None:
    written = History(*PLAIN)
    written.compact()
    assert len(written.topics[MEMBER_EVENTS]) == 2
    assert await History(*PLAIN).compare(written) == 4


@pytest.mark.parametrize("name", OUTPUT_TOPICS)
async def test_a_surplus_output_is_found_and_one_of_later_chunks_passed(name: str) -> None:
    written = History(*PLAIN)
    written.topics[name].append(Written(99, BEN.encode(), written.topics[MEMBER_EVENTS][0].value))
    with pytest.raises(Difference, match="offset 99: no input gives this"):
        await History(*PLAIN).compare(written)
    assert await History(*PLAIN).compare(written, goes_on=True) == 6


async def test_the_last_event_of_a_member_may_not_be_gone() -> None:
    written = History(*PLAIN)
    written.change(MEMBER_EVENTS, lambda records: records[:-1])
    with pytest.raises(Difference, match=f"an output is missing, and no later one of {ANN}"):
        await History(*PLAIN).compare(written)


async def test_an_event_that_is_another_is_found_where_it_stands() -> None:
    written = History(*PLAIN)
    first, *others = written.topics[MEMBER_EVENTS]
    other = (first.value or b"").replace(b"null", b'"Eve"', 1)
    written.topics[MEMBER_EVENTS] = [replace(first, value=other), *others]
    with pytest.raises(Difference, match=r"offset 0: .*Eve.* was written, folding again gives"):
        await History(*PLAIN).compare(written)


@pytest.mark.parametrize("topic", [PROGRESS_EVENTS, DEAD_LETTERS])
async def test_nothing_else_may_be_gone(topic: str) -> None:
    chunks = (*PLAIN, [log("log-3", value=None)])
    written = History(*chunks)
    written.change(topic, lambda records: records[1:])
    with pytest.raises(Difference, match=f"{'is missing' if topic == DEAD_LETTERS else 'written'}"):
        await History(*chunks).compare(written)


def before_and_after(*more: Sequence[Sent]) -> tuple[History, History]:
    """What was written while Ann had a name, and what her records give now."""
    chunks = [ben, log(value=5), log("log-1", value=7, ownedById=BEN)], [forget], *more
    return History([LEE, *chunks[0]], *chunks[1:]), History([ann, *chunks[0]], *chunks[1:])


async def test_of_a_forgotten_member_nothing_is_compared() -> None:
    written, now = before_and_after([LEE])
    assert await now.compare(written, ANN) == 2  # Ben, and his log
    written.change(PROGRESS_EVENTS, lambda records: records[:1])
    with pytest.raises(Difference):  # his log is not hers
        await now.compare(written, ANN)


async def test_what_is_not_known_to_be_forgotten_is_compared() -> None:
    written, now = before_and_after()
    with pytest.raises(Difference, match="Lee"):
        await now.compare(written)
    written.compact()  # what the name was in is no more
    assert await now.compare(written) == 6


async def test_beside_a_forgotten_member_others_are_compared_in_order() -> None:
    other = [log(f"log-{n}", value=n, ownedById=BEN) for n in (2, 3)]
    written, now = before_and_after(other)
    assert await now.compare(written, ANN) == 4
    written.change(PROGRESS_EVENTS, lambda r: [*r[:-2], r[-1], r[-2]])
    with pytest.raises(Difference, match="was written, folding again gives"):
        await now.compare(written, ANN)


async def test_outputs_of_ticks_are_compared_by_what_they_are() -> None:
    """A tick may have done what a later one does now: the same happened."""
    first, second = tick("2026-11-22T06:00:00Z"), tick("2026-11-22T07:00:00Z")
    chunks = [LEE, ben, log("log-1", value=7, ownedById=BEN), forget], [first], [second]
    now, written = History(*chunks), History(*chunks)
    assert await now.compare(written, ANN) == 3
    (failed,) = (
        e for e in written.topics[PROGRESS_EVENTS] if b"challenge.failed" in (e.value or b"")
    )
    early = b'"sequence":"%020d"' % 4
    assert early in (failed.value or b"")
    late = replace(failed, value=(failed.value or b"").replace(early, b'"sequence":"%020d"' % 5))
    written.change(
        PROGRESS_EVENTS, lambda records: [r if r is not failed else late for r in records]
    )
    assert await now.compare(written, ANN) == 3
    with pytest.raises(Difference):
        await now.compare(written)
    written.change(PROGRESS_EVENTS, lambda records: [r for r in records if r is not late])
    with pytest.raises(Difference, match="an output of a tick is missing"):
        await now.compare(written, ANN)


async def test_dead_letters_beside_a_forgotten_member_are_compared_by_their_record() -> None:
    wrong = [log("log-8", value=None, ownedById=BEN), log("log-9", value=None, ownedById=BEN)]
    written, now = before_and_after(wrong, [POE])
    assert await now.compare(written, ANN) == 4
    written.change(DEAD_LETTERS, lambda records: records[::-1])
    assert await now.compare(written, ANN) == 4
    written.change(DEAD_LETTERS, lambda records: records[:1])
    with pytest.raises(Difference, match="dead-letters: an output of a tick is missing"):
        await now.compare(written, ANN)

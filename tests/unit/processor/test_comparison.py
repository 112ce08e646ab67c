"""What ``milestream verify`` finds, and what privacy lets it pass over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from processor.comparison import Comparison, Difference
from processor.domain.fold import ChunkLogged, Part
from processor.forgotten import says_forgotten
from schemas.topics import (
    CHUNK_LOG,
    DEAD_LETTERS,
    MEMBER_EVENTS,
    OUTPUT_TOPICS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
)
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
How = Callable[[list["Written"]], list["Written"]]


def always(records: "list[Written]") -> How:
    """Write these instead."""
    return lambda _: records


def replaced(last: "Written") -> How:
    """Write another last record."""
    return lambda records: [*records[:-1], last]


@dataclass(frozen=True)
class Written:
    """A record on an output topic."""

    offset: int
    key: bytes | None
    value: bytes | None


class Lying:
    """A topic's records, read forward."""

    def __init__(self, name: str, records: Sequence[Written]) -> None:
        self.records = list(records)
        self.place = TopicPartition(name, 0)

    def __str__(self) -> str:
        return f"{self.place.topic}, partition 0"

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

    async def compare(
        self,
        written: "History",
        *forgotten: str,
        goes_on: bool = False,
        later: Sequence[Written] = (),
    ) -> int:
        """Hold what this gives against what another wrote; ``later`` lies on ``member-events`` by
        then."""
        cursors: Any = {name: Lying(name, records) for name, records in written.topics.items()}
        comparison = Comparison(cursors, set(forgotten))
        for parts, happened in zip(self.parts, self.happened, strict=True):
            (chunk,) = happened.outputs(CHUNK_LOG)
            outputs = {k: v for k, v in happened.effects.outputs.items() if k != CHUNK_LOG}
            logged = msgspec.json.decode(chunk.value, type=ChunkLogged)
            await comparison.chunk(logged, parts, outputs)

        async def meanwhile() -> bool:
            return goes_on

        async def go_on() -> None:
            cursors[MEMBER_EVENTS].records += later

        await comparison.end(meanwhile, go_on)
        return comparison.compared


POE_ID = "7c1f6f4e-0000-5000-8000-000000000001"
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
    with pytest.raises(Difference, match=r"offset 0: .* was written, folding again") as found:
        await History(*PLAIN).compare(written)
    assert "Eve" not in str(found.value)


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
    with pytest.raises(Difference, match="was written") as found:
        await now.compare(written)
    assert "Lee" not in str(found.value)
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
    same_place = replace(failed, value=(failed.value or b"").replace(b"11-22T", b"11-23T"))
    for other in (
        same_place,
        replace(late, value=(late.value or b"").replace(b'"failed"', b'"Failed"')),
    ):
        assert other.value not in (failed.value, late.value)
        forged = History(*chunks)
        forged.change(PROGRESS_EVENTS, replaced(other))
        with pytest.raises(Difference, match="an output of a tick is another"):
            await now.compare(forged, ANN)
    written.change(PROGRESS_EVENTS, lambda records: [r for r in records if r is not late])
    with pytest.raises(Difference, match="an output of a tick is missing"):
        await now.compare(written, ANN)


async def test_dead_letters_beside_a_forgotten_member_are_compared_in_order() -> None:
    wrong = [log("log-8", value=None, ownedById=BEN), log("log-9", value=None, ownedById=BEN)]
    written, now = before_and_after(wrong, [POE])
    assert await now.compare(written, ANN) == 4
    first, second = written.topics[DEAD_LETTERS]
    other = replace(first, value=(first.value or b"").replace(b'"invalid"', b'"unknown"'))
    assert other.value != first.value
    for forged in ([second, first], [first], [other, second], [first, second, second]):
        written.change(DEAD_LETTERS, always(forged))
        with pytest.raises(Difference, match="dead-letters"):
            await now.compare(written, ANN)


async def test_dead_letters_that_ticks_gave_up_are_compared_wherever_they_lie() -> None:
    parked = log("log-7", value=1, ownedById=POE_ID)
    wrong = [log(f"log-{n}", value=None, ownedById=BEN) for n in (8, 9)]
    early, late = tick("2026-11-22T06:00:00Z"), tick("2026-11-22T07:00:00Z")
    chunks = [LEE, ben, forget], [parked], [early], [wrong[0]], [late], [wrong[1]]
    now, written = History(*chunks), History(*chunks)
    first, given_up, last = written.topics[DEAD_LETTERS]
    own = [first, last]
    for order in ([given_up, *own], [own[0], given_up, own[1]], [*own, given_up]):
        written.change(DEAD_LETTERS, always(order))
        assert await now.compare(written, ANN) == 4
    written.change(DEAD_LETTERS, always(own))
    with pytest.raises(Difference, match="an output of a tick is missing"):
        await now.compare(written, ANN)


async def test_an_event_that_was_compacted_meanwhile_has_a_later_one_at_the_end() -> None:
    written, cut = History(*PLAIN), History(*PLAIN)
    cut.change(MEMBER_EVENTS, lambda records: records[:-1])
    later = written.topics[MEMBER_EVENTS][-1]
    assert await History(*PLAIN).compare(cut, later=[later]) == 5
    with pytest.raises(Difference, match="no later one"):
        await History(*PLAIN).compare(cut, later=[replace(later, key=BEN.encode())])


def test_only_who_was_forgotten_is_said_to_be() -> None:
    refused = [
        command("forget-member", userId="nobody"),
        command("forget-member", userId="ann", ifVersion=7),
        command("forget-member", project="other", memberId=ANN),
    ]
    none, one = History([ann, *refused]), History([ann, *refused, forget])
    assert not [e for e in none.topics[POINTS_EVENTS] if says_forgotten(e.value)]
    assert [e.key for e in one.topics[POINTS_EVENTS] if says_forgotten(e.value)] == [ANN.encode()]

"""Chunks that are folded again for a simulation: together, but as they were apart."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from processor.domain.definitions import Definitions
from processor.domain.fold import ChunkLogged, Part
from processor.domain.handlers import ticks
from processor.domain.inputs import Place
from processor.domain.state_kinds import DUE
from processor.recorded import RecordedChunk, RecordedPartition
from processor.simulation.figures import Calendar, Figures, beside
from processor.simulation.recorded import _replay
from processor.simulation.world import World, scratch_stores
from processor.store import PartitionStore
from tests.event_spec import clock_to, event, event_of, streak_of, tick
from tests.spec import (
    NOW,
    Defined,
    Partition,
    Sent,
    ann,
    challenge,
    log,
    millis,
    project_settings,
)

AT = Place(0, 1, {})
visit_of = event_of(reward={"default": 5})


class Recorded:
    """A partition as it would be read from the topics."""

    def __init__(self, chunks: Sequence[Sequence[Sent]], defined: Sequence[Defined]) -> None:
        self.definitions = Definitions()
        self._defined = defined
        self._chunks = chunks
        self._places = Partition()

    async def chunks(self) -> AsyncIterator[RecordedChunk]:
        """Iterate over the chunks, of one topic each."""
        for records in self._chunks:
            parts = [Part(records[0].topic, self._places.placed(*records))]
            logged = ChunkLogged(0, 0, len(records), [], len(self._defined), fold=1)
            yield RecordedChunk(records[0], logged, parts)

    async def define(self, end: int) -> None:
        """Put all definitions in force."""
        for each in self._defined[self.definitions.next_offset : end]:
            offset = self.definitions.next_offset
            self.definitions.apply(each.key, each.value, offset, millis(NOW) - 60_000)


async def replayed(
    recorded: Recorded, tried: Definitions, stores: tuple[PartitionStore, PartitionStore]
) -> tuple[Figures, Figures]:
    here, there = Figures(), Figures()
    was = recorded.definitions
    worlds = (
        World(AT, stores[0], tried, here, Calendar("default", tried)),
        World(AT, stores[1], was, there, Calendar("default", tried, was)),
    )
    await _replay(cast("RecordedPartition", recorded), "default", worlds, lambda _: None)
    return here, there


def in_force(*defined: Defined) -> Definitions:
    """The definitions of documents, which nobody wrote at any time."""
    definitions = Definitions()
    for offset, each in enumerate(defined):
        definitions.apply(each.key, each.value, offset, 0)
    return definitions


def crowd(count: int) -> list[Sent]:
    """A log each of so many members."""
    members: list[dict[str, Any]] = [{"externalId": f"user-{n}"} for n in range(count)]
    return [log(f"log-{n}", 30, ownedBy=member) for n, member in enumerate(members)]


async def test_ticks_do_as_much_as_they_did_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "MAX_DUES", 10)
    at = "2026-11-23T00:00:00Z"
    recorded = Recorded([crowd(15), [tick(at)], [tick(at)]], [challenge()])
    with scratch_stores(0) as stores:
        await replayed(recorded, in_force(challenge()), stores)
        for store in stores:
            assert store.scan(DUE.prefix, DUE.prefix + b"\xff", 100) == []


async def test_a_test_clock_stands_where_it_stood_when_it_was_recorded() -> None:
    manual = project_settings(clock="manual")
    defined = (manual, challenge(), visit_of, streak_of())
    chunks = [[ann], [log("a", 500)], [event("visit")], [clock_to("2026-11-23")], [event("visit")]]
    recorded = Recorded(chunks, defined)
    with scratch_stores(0) as stores:
        here, there = await replayed(recorded, in_force(*defined), stores)
    assert not here.refused
    assert beside(here, there)
    for figure in beside(here, there):
        counted = figure.counted, figure.points, figure.rewards, figure.completions
        was = figure.in_force
        assert counted == (was.counted, was.points, was.rewards, was.completions)

"""A dry run answers as the real call that follows, and neither it nor a trace changes anything."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from processor.domain.effects import Effects
from schemas import dry_runs
from schemas.instants import format_instant, from_millis
from schemas.topics import TICKS
from tests.event_spec import clock_to, tick
from tests.properties.test_clocks import REAL, on_clock
from tests.spec import Partition, Sent, as_tried, project_settings
from tests.strategies import Segment, histories
from tests.strategies_events import event_histories, streak_histories
from tests.strategies_points import points_histories
from tests.strategies_tiers import tier_histories
from tests.strategies_voids import void_histories
from tests.strategies_whole import whole_histories

HISTORIES: list[SearchStrategy[list[Segment]]] = [
    histories(),
    event_histories(),
    streak_histories(),
    points_histories(),
    void_histories(),
    tier_histories(),
    whole_histories(),
]


def traced(record: Sent) -> Sent:
    """Return a record that asks for a trace."""
    return replace(record, headers=(*record.headers, dry_runs.TRACED))


def decoded(effects: Effects) -> list[Any]:
    """Return the answers as data."""
    return [msgspec.json.decode(answer.value) for answer in effects.answers]


def without_trace(reply: Any) -> Any:
    """Return an answer without its trace, which it must have."""
    body = {**reply["body"]}
    assert isinstance(body.pop("trace"), list)
    return {**reply, "body": body}


def check(alone: Partition, beside: Partition, record: Sent) -> None:
    """Try a record with and without a trace, then fold it on two partitions, on one of them with a
    trace; compare all that it leads to."""
    can_be_tried = record.topic in dry_runs.TRIED
    tried = decoded(alone.try_out(record)) if can_be_tried else None
    explained = decoded(alone.try_out(traced(record))) if can_be_tried else None
    plain, told = alone.fold(record).effects, beside.fold(traced(record)).effects
    assert (plain.writes, plain.counts) == (told.writes, told.counts)
    assert [without_trace(reply) for reply in decoded(told)] == decoded(plain)
    refused = "dead-letters"  # they have the headers
    assert {t: o for t, o in plain.outputs.items() if t != refused} == {
        t: o for t, o in told.outputs.items() if t != refused
    }
    if tried is not None:
        assert tried == [as_tried(answer) for answer in plain.answers]
        assert explained == [as_tried(answer) for answer in told.answers]


few = settings(max_examples=max(1, (settings.default or settings()).max_examples // 2))
"""There are seven kinds of histories, and each record is folded four times."""


@few
@pytest.mark.parametrize("kind", range(len(HISTORIES)))
@given(st.data())
def test_a_dry_run_is_the_real_call_but_for_what_it_leaves(kind: int, data: st.DataObject) -> None:
    alone, beside = Partition(compared=False), Partition(compared=False)
    for segment in data.draw(HISTORIES[kind]):
        for partition in (alone, beside):
            partition.define(*segment.definitions)
        for record in segment.records:
            check(alone, beside, record)
    assert alone.entries == beside.entries


def move(partition: Partition, until: int) -> None:
    """Move a project's clock, and let it arrive."""
    happened = partition.fold(clock_to(format_instant(from_millis(until))).arriving(REAL))
    while happened.effects.more_moves:
        happened = partition.fold(tick(REAL))


@few
@given(st.one_of(*HISTORIES))
def test_a_dry_run_is_the_real_call_on_a_test_clock(history: list[Segment]) -> None:
    now = min(record.timestamp for segment in history for record in segment.records)
    alone, beside = Partition(compared=False), Partition(compared=False)
    manual = project_settings(clock="manual")
    for partition in (alone, beside):
        partition.definitions.apply(manual.key, manual.value, 0, now)
    for segment in history:
        for partition in (alone, beside):
            partition.define(*map(on_clock, segment.definitions))
        for record in segment.records:
            now = max(now, record.timestamp)
            for partition in (alone, beside):
                move(partition, now)
            if record.topic != TICKS:
                check(alone, beside, record.arriving(REAL))
    assert alone.entries == beside.entries

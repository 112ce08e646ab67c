"""A project on a test clock folds exactly as a live project whose ticks came at the moments of its
dues."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.handlers import clocks
from processor.domain.state_kinds import CLOCK_DUE, DUE, MOVE, due_entry
from schemas.instants import format_instant, from_millis
from schemas.topics import TICKS
from tests.event_spec import clock_to, tick
from tests.spec import Defined, Happened, Partition, Sent, project_settings
from tests.strategies import Segment, histories
from tests.strategies_events import event_histories, streak_histories
from tests.strategies_points import points_histories
from tests.strategies_tiers import tier_histories
from tests.strategies_voids import void_histories
from tests.strategies_whole import whole_histories

REAL = "2040-01-01T00:00:00Z"
"""The timestamp of all records of the project on a test clock."""
RECORDED = {"createdAt", "updatedAt", "forgottenAt"}
OF_RECORDS = (
    "milestream.member.upserted.v1",
    "milestream.reward.updated.v1",
    "milestream.event.forgotten.v1",
    "milestream.points.forgotten.v1",
)
"""Events that happen when their record is made, which no clock moves."""


@contextmanager
def at_most(dues: int) -> Iterator[None]:
    """Have a chunk do so few dues that a move goes in many pieces."""
    before = clocks.MAX_DUES
    clocks.MAX_DUES = dues
    try:
        yield
    finally:
        clocks.MAX_DUES = before


def comparable(happened: Iterable[Happened]) -> list[tuple[str, Any]]:
    """Return what happened without what a clock does not go by, and without the clock itself; in
    order within each type."""
    told = []
    for each in happened:
        for event in each.envelopes:
            if event["type"] == "milestream.clock.moved.v1":
                continue
            del event["sequence"]
            if event["type"] in OF_RECORDS:
                del event["time"]
            told.append((event["type"], without_records(event)))
    return sorted(told, key=lambda event: event[0])


def without_records(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_records(v) for k, v in value.items() if k not in RECORDED}
    return [without_records(each) for each in value] if isinstance(value, list) else value


def answers(happened: Happened) -> Any:
    return [(status, without_records(body)) for status, body in happened.answers]


class Live:
    """The live project: a tick at the moment of each due, and one at that of each record."""

    def __init__(self) -> None:
        self.partition = Partition(compared=False)
        self.happened: list[Happened] = []

    def pass_time(self, until: int) -> None:
        for _ in range(10_000):
            due = min(
                (key for key in self.partition.entries if key.startswith(DUE.prefix)), default=None
            )
            if due is None or due_entry(due)[0] > from_millis(until):
                break
            self.tick(format_instant(due_entry(due)[0]))
        self.tick(format_instant(from_millis(until)))

    def tick(self, at: str) -> None:
        self.happened.append(self.partition.fold(tick(at)))

    def take(self, record: Sent, at: int) -> None:
        self.happened.append(self.partition.fold(record.arriving(format_instant(from_millis(at)))))


class OnClock:
    """The project on a test clock, moved to the moment of each record."""

    def __init__(self, since: int) -> None:
        self.partition = Partition(compared=False)
        manual = project_settings(clock="manual")
        self.partition.definitions.apply(manual.key, manual.value, 0, since)
        self.happened: list[Happened] = []

    def pass_time(self, until: int) -> None:
        happened = self.partition.fold(clock_to(format_instant(from_millis(until))).arriving(REAL))
        self.happened.append(happened)
        while happened.effects.more_moves:
            happened = self.partition.fold(tick(REAL))
            self.happened.append(happened)

    def take(self, record: Sent) -> None:
        self.happened.append(self.partition.fold(record.arriving(REAL)))


def on_clock(definition: Defined) -> Defined:
    """Return a definition as it is where the project goes by a test clock."""
    return definition.but(clock="manual") if definition.kind == "project" else definition


def check(history: list[Segment]) -> None:
    now = min(record.timestamp for segment in history for record in segment.records)
    live, manual = Live(), OnClock(now)
    live.partition.define(project_settings())
    for segment in history:
        live.partition.define(*segment.definitions)
        manual.partition.define(*map(on_clock, segment.definitions))
        for record in segment.records:
            now = max(now, record.timestamp)
            live.pass_time(now)
            manual.pass_time(now)
            if record.topic != TICKS:
                live.take(record, now)
                manual.take(record)
                assert answers(live.happened[-1]) == answers(manual.happened[-1])
    now += 400 * 86_400_000
    live.pass_time(now)
    manual.pass_time(now)
    assert comparable(live.happened) == comparable(manual.happened)
    left = [key for key in manual.partition.entries if key.startswith(MOVE.prefix)]
    assert not left
    assert kinds(live.partition, DUE.prefix) == kinds(manual.partition, CLOCK_DUE.prefix)


def kinds(partition: Partition, prefix: bytes) -> list[bytes]:
    """Return what is due, and when."""
    if prefix == DUE.prefix:
        return sorted(key[1:] for key in partition.entries if key.startswith(prefix))
    begins = len(prefix) + len(b"default\0")
    return sorted(key[begins:] for key in partition.entries if key.startswith(prefix))


@given(st.one_of(points_histories(), tier_histories(), whole_histories()), st.integers(1, 5))
def test_points_fold_as_live_ones(history: list[Segment], most: int) -> None:
    with at_most(most):
        check(history)


@given(st.one_of(event_histories(), streak_histories()), st.integers(1, 5))
def test_events_fold_as_live_ones(history: list[Segment], most: int) -> None:
    with at_most(most):
        check(history)


@given(st.one_of(histories(), void_histories()), st.integers(1, 5))
def test_logs_fold_as_live_ones(history: list[Segment], most: int) -> None:
    with at_most(most):
        check(history)

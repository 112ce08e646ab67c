"""How fast test clocks move beside other work."""

import pytest

from processor.domain.fold import Part
from processor.move_pace import ALONE_SECONDS, DUE_SECONDS, SHARE, MovePace
from schemas.topics import EVENTS, TICKS

TICK = [Part(TICKS, ())]
MIXED = [Part(EVENTS, ()), Part(TICKS, ())]


class Clock:
    """Seconds that a test passes by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_move_alone_goes_on_at_once() -> None:
    pace = MovePace(Clock())
    for _ in range(10):
        pace.done(TICK, 100, 0.1)
        assert pace.pause() == 0


def test_moves_of_all_partitions_together_take_a_share_beside_other_work() -> None:
    """However the pieces of four partitions are interleaved."""
    clock = Clock()
    pace = MovePace(clock)
    next_at = dict.fromkeys(range(4), clock.now)
    took, begun = 0.0, clock.now
    while clock.now < begun + 60:
        pace.done([Part(EVENTS, ())], 0, 0.005)
        clock.now += 0.005
        for partition, at in next_at.items():
            if at <= clock.now:
                clock.now += 0.02
                took += 0.02
                pace.done(TICK, 100, 0.02)
                next_at[partition] = clock.now + pace.pause()
    assert took / (clock.now - begun) == pytest.approx(SHARE, abs=0.01)


def test_of_a_piece_with_other_records_only_the_dues_count() -> None:
    pace = MovePace(Clock())
    pace.done(MIXED, 10, 1.0)
    assert pace.pause() == pytest.approx(10 * DUE_SECONDS * (1 / SHARE - 1))


def test_a_move_goes_on_at_once_when_nothing_else_has_come_for_a_while() -> None:
    clock = Clock()
    pace = MovePace(clock)
    pace.done(MIXED, 100, 1.0)
    assert pace.pause() > 0
    clock.now += ALONE_SECONDS
    pace.done(TICK, 100, 0.1)
    assert pace.pause() == 0

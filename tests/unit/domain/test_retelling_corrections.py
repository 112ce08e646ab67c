"""Progress that recalculations corrected, told again."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from processor.domain.retelling.progress import (
    Corrected,
    Crossing,
    Logged,
    Voided,
    retell,
    up_to,
    up_to_reward,
)
from schemas.amounts import SCALE
from schemas.instants import parse_instant
from tests.spec import NOW

AT = parse_instant(NOW)


def logged(sequence: int, value: Any, method: str = "sum", rewards: tuple[str, ...] = ()) -> Logged:
    """A log that counted, and happened so many minutes later."""
    at = AT + timedelta(minutes=sequence)
    return Logged(
        id=str(sequence),
        unique_identifier=str(sequence),
        activity_at=at,
        activity_id="walk",
        activity_value=Decimal(value),
        status="live",
        created_at=at,
        progress_id="p",
        period_key="all",
        method=method,
        progress_value=None,
        progress_status="in_progress",
        progress_updated_at=at,
        rewards=rewards,
        version=0,
        sequence=sequence,
    )


def corrected(sequence: int, difference: Any, method: str = "sum") -> Corrected:
    """A correction of the progress."""
    return Corrected(
        id=f"c{sequence}",
        recalculation_id="r",
        difference=Decimal(difference),
        method=method,
        at=AT,
        version=1,
        sequence=sequence,
    )


def voided(sequence: int, log_id: str, portion: str = "1") -> Voided:
    """A void of a log."""
    return Voided(
        void_id=f"v{sequence}", log_id=log_id, portion=Decimal(portion), at=AT, sequence=sequence
    )


def test_a_correction_moves_by_its_difference_and_what_is_shown_stops_at_0() -> None:
    steps = retell([logged(1, 30), logged(4, "0.5")], [], [corrected(3, -40), corrected(2, "7.25")])
    assert [step.added for step in steps] == [
        30 * SCALE,
        7_250_000_000,
        -40 * SCALE,
        500_000_000,
    ]
    assert [step.after for step in steps] == [30 * SCALE, 37_250_000_000, 0, 0]


def test_a_void_after_a_correction_goes_by_the_method_that_it_brought() -> None:
    logs = [logged(1, 30), logged(2, 5), logged(5, 9, "count")]
    voids = [voided(3, "1"), voided(6, "2", "0.5"), voided(7, "2", "0.5"), voided(8, "5")]
    steps = retell(logs, voids, [corrected(4, -4, "count")])
    assert [(step.of.sequence, step.added // SCALE) for step in steps] == [
        (1, 30),
        (2, 5),
        (3, -30),
        (4, -4),
        (5, 1),
        (7, -1),
        (8, -1),
    ]


def test_what_a_correction_gave_is_explained_up_to_it() -> None:
    logs = [logged(1, 30), logged(2, 30, rewards=("other",)), logged(4, 10)]
    steps = retell(logs, [], [corrected(3, 40)])
    told = up_to_reward(steps, "reward", 3, 3, Crossing(AT, Decimal(100)))
    assert [step.of.sequence for step in told] == [1, 2, 3]
    assert [step.of.sequence for step in up_to(steps, 3, "completed")] == [1, 2, 3]


def test_what_had_been_crossed_long_before_is_explained_by_what_crossed_it() -> None:
    logs = [logged(1, 30), logged(2, 30), logged(3, 10)]
    steps = retell(logs, [], [corrected(4, 0)])
    crossing = Crossing(AT + timedelta(minutes=2), Decimal(60))
    told = up_to_reward(steps, "reward", 4, 4, crossing)
    assert [step.of.sequence for step in told] == [1, 2, 4]
    elsewhere = Crossing(AT, Decimal(60))
    told = up_to_reward(steps, "reward", 4, 4, elsewhere)
    assert [step.of.sequence for step in told] == [1, 2, 3, 4]

"""Searching schedules for one that violates something; the same ones each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.internal.conjecture.providers import HypothesisProvider

from tests.simulation.schedule import Schedule, run
from tests.simulation.strategies import schedules
from tests.simulation.verifier import Violation


@contextmanager
def the_same_each_time() -> Iterator[None]:
    """Let Hypothesis draw by its seed alone, and not also from constants in the modules that happen
    to be imported: what a run looks at would depend on which other tests run."""
    with mock.patch.object(HypothesisProvider, "_maybe_draw_constant", return_value=None):
        yield


def look(items: tuple[Any, ...], partitions: int, most: int, *, shrink: bool = True) -> int:
    """Run schedules of such items; return how many.

    Raises:
        Violation: one violates something.
    """
    ran = 0

    @seed(6)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(schedules(items, partitions))
    def runs(schedule: Schedule) -> None:
        nonlocal ran
        ran += 1
        run(schedule)

    with the_same_each_time():
        runs()
    return ran


def search(items: tuple[Any, ...], partitions: int, most: int) -> Violation | None:
    """Run up to ``most`` schedules until one violates something, and return the violation."""
    try:
        look(items, partitions, most, shrink=False)
    except Violation as violation:
        return violation
    return None

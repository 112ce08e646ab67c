"""The chunk path under schedules of every kind: nothing is lost, nothing done twice, all goes on.

``make simulate SCHEDULES=10000`` runs so many. They are the same each time; a failure names its
schedule, which `tests.simulation.schedule.run` runs again.
"""

import os

import pytest

from tests.simulation import strategies
from tests.simulation.schedule import Schedule, run
from tests.simulation.searching import look

SCHEDULES = int(os.environ.get("MILESTREAM_TEST_SCHEDULES", "100"))

KINDS = {
    "revocations": (strategies.NARROW, 1),
    "definitions and revocations": (strategies.DELIVERY, 1),
    "commands, definitions and ticks": (strategies.ORDERED, 2),
    "two workers that are killed": (strategies.CRASHES, 2),
    "workers that stand still": (strategies.STOPS, 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_takes_effect_once_and_everything_goes_on(kind: str) -> None:
    items, partitions = KINDS[kind]
    assert look(items, partitions, max(SCHEDULES // len(KINDS), 1))


def test_a_schedule_runs_the_same_each_time() -> None:
    schedule = Schedule(
        seed=7,
        wild=2_000,
        partitions=2,
        items=strategies.EVERYTHING,
    )
    first, second = run(schedule), run(schedule)
    assert first.loop.time() == second.loop.time()
    assert {place: log.end for place, log in first.cluster.logs.items()} == {
        place: log.end for place, log in second.cluster.logs.items()
    }


def test_what_a_schedule_names_really_happens() -> None:
    world = run(Schedule(seed=7, wild=0, partitions=2, items=strategies.EVERYTHING))
    assert world.group.generation >= 4
    assert {process.machine.name: process.machine.starts for process in world.workers} == {
        "a": 2,
        "b": 1,
    }
    letters = [e for p in range(2) for e in world.committed("dead-letters", p)]
    assert letters == []
    assert any(world.committed("forwarded", p) for p in range(2))
    aborted = [e for log in world.cluster.logs.values() for e in log.entries if not e.counts]
    assert [e for e in aborted if not e.marker]

"""A fixed few schedules: faults of every process, each followed by a verification of everything.

`make faults SCHEDULES=200` runs many more, `make faults SEED=17` one of them again.
"""

import pytest

from tests.faults.run import Outcome, run_schedule
from tests.faults.schedule import Schedule, Step
from tests.faults.stack import Servers

FIXED = (
    Schedule(1001, 3, 2, (
        Step(1.0, "crash after commit"), Step(3.0, "stop worker"), Step(6.0, "kill projector"),
    )),
    Schedule(1002, 2, 2, (
        Step(1.0, "crash before commit"), Step(2.0, "TERM worker"), Step(5.0, "kill worker"),
        Step(8.0, "crash after fence"),
    )),
)  # fmt: skip


@pytest.mark.parametrize("schedule", FIXED, ids=lambda schedule: str(schedule.seed))
def test_nothing_is_lost_and_nothing_is_there_twice(servers: Servers, schedule: Schedule) -> None:
    outcome: Outcome = run_schedule(servers, schedule)
    assert outcome.failure is None, (outcome.failure, outcome.ends)
    assert outcome.counts["inputs"] > 1_000
    assert outcome.happened, "no fault happened"

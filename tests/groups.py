"""Which tests stay together where several processes share a run (`make test`), and in what order.

What a test needs of its own it has there too: topics, a database, a data dir, ports. The tests of a
group run one after the other in one process, so that what they share is started once.

Tests with servers wait for a quarter of their time. Where five processes or more share a run, the
last of them fills it: it begins with tests that only compute, and gives way to the others.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARING = ("tests/faults/", "tests/integration/api/", "tests/integration/test_")
"""How the files begin that share something; elsewhere each file is a group. The last ones start and
stop whole stacks on ports that a data dir keeps, and another stack must not take them meanwhile."""

LONGEST = (
    "tests/integration/api/",
    "tests/faults/",
    "tests/integration/test_up.py",
    "tests/integration/test_local_stack.py",
    "tests/integration/whole/",
    "tests/integration/processor/test_membership.py",
    "tests/integration/processor/test_flow.py",
    "tests/integration/processor/",
    "tests/bench/",
    "tests/integration/",
    "tests/simulation/",
)
"""What takes long begins first, so that the processes end at about the same time."""

COMPUTING = ("tests/properties/", "tests/simulation/")
"""What waits for nothing, and takes minutes. Short tests of that kind are kept for the end, when a
process that waits for a long one would leave the others with nothing to do."""

FEWEST = 5
"""With so many processes one may fill; with fewer, those with servers would take longer."""

GIVES_WAY = 5
"""The niceness of the one that fills: a third of the others' share where all compute. It has tests
with servers too when there is nothing else, and must not starve with those."""


def group_of(node_id: str) -> str:
    """Return the group of a test: how its file begins, or its file."""
    shared = (start for start in SHARING if node_id.startswith(start))
    return next(shared, node_id.split("::", 1)[0])


def in_order_of_length(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, those of the longest groups first."""
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(node_id: str) -> int:
    ranks = (rank for rank, start in enumerate(LONGEST) if node_id.startswith(start))
    return next(ranks, len(LONGEST))


def give_way(worker: Mapping[str, Any]) -> None:
    """Lower the priority of this process where it is the one that fills.

    ``worker`` is the `workerinput` of xdist: ids are `gw0` and so on.
    """
    if _fills(worker["workerid"], worker["workercount"]):
        os.nice(GIVES_WAY)


def next_group(waiting: Iterable[str], *, fills: bool) -> str:
    """Return the group that a process has next, of those that wait in the order of the tests.

    Raises:
        StopIteration: none waits.
    """
    groups = list(waiting)
    computing = (group for group in groups if fills and group.startswith(COMPUTING))
    return next(computing, None) or next(iter(groups))


def _fills(worker: str, processes: int) -> bool:
    return processes >= FEWEST and worker == f"gw{processes - 1}"


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives whole groups to the processes, in the order of the tests but to the one that fills."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _assign_work_unit(self, node: Any) -> None:
        fills = _fills(node.gateway.id, self.numnodes)
        self.workqueue.move_to_end(next_group(self.workqueue, fills=fills), last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

"""Which tests stay together where several processes share a run (`make test`), and in what order.

What a test needs of its own it has there too: topics, a database, a data dir, ports. The tests of a
group run one after the other in one process, so that what they share is started once.
"""

from collections.abc import Sequence

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


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives whole groups to the processes, in the order of the tests."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

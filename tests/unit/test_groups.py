"""Tests that must not run beside each other are in one group."""

import pytest

from tests.groups import group_of, next_group


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/integration/test_up.py::a", "tests/integration/test_local_stack.py::B::b"),
        ("tests/integration/api/test_lists.py::a", "tests/integration/api/test_quotas.py::b"),
        ("tests/faults/test_overload.py::a", "tests/faults/test_schedules.py::b[1001]"),
        ("tests/unit/test_groups.py::a", "tests/unit/test_groups.py::b"),
    ],
)
def test_they_are_together(one: str, other: str) -> None:
    assert group_of(one) == group_of(other)


def test_others_are_apart() -> None:
    files = ("tests/unit/test_groups.py::a", "tests/integration/whole/test_three_clients.py::a")
    assert len({group_of(file) for file in files}) == len(files)


SERVERS, PURE, UNIT = "tests/integration/api/", "tests/properties/test_tiers.py", "tests/unit/a.py"


@pytest.mark.parametrize(
    ("waiting", "fills", "first"),
    [
        ([SERVERS, PURE, UNIT], False, SERVERS),
        ([SERVERS, PURE, UNIT], True, PURE),
        ([SERVERS, UNIT], True, SERVERS),
    ],
)
def test_the_process_that_fills_begins_with_what_only_computes(
    waiting: list[str], fills: bool, first: str
) -> None:
    assert next_group(waiting, fills=fills) == first

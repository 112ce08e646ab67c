"""Whether settings would give a project another clock: one answer for all doors."""

import pytest

from schemas.definition_set import DefinitionSet
from schemas.definitions import Project
from tests.spec import PROJECT, Defined, project_settings

MANUAL = project_settings(clock="manual")
LIVE = project_settings(clock="live")


@pytest.mark.parametrize(
    ("before", "to_manual", "to_live"),
    [
        ([], True, False),
        ([LIVE], True, False),
        ([MANUAL], False, True),
        ([MANUAL, LIVE], True, False),
        ([MANUAL, MANUAL.deleted()], True, False),
        ([project_settings("acme", clock="manual")], True, False),
    ],
)
def test_a_clock_is_changed_by_what_says_another_one_than_is_in_force(
    before: list[Defined], to_manual: bool, to_live: bool
) -> None:
    defined = DefinitionSet()
    for offset, each in enumerate(before):
        defined.apply(each.key, each.value, offset, 0)
    assert defined.changes_clock(PROJECT, Project(id=PROJECT, clock="manual")) == to_manual
    assert defined.changes_clock(PROJECT, Project(id=PROJECT)) == to_live

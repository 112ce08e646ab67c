"""Since when definitions were in force, whatever became of them later."""

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from api.explaining.versions import Named, Versions
from api.kafka.definition_history import DefinitionHistory
from schemas.instants import parse_instant
from tests.spec import PROJECT, Defined, millis
from tests.tier_spec import STATUS, tier_set

DAYS = tuple(f"2026-11-{day}T10:00:00Z" for day in range(10, 20))


class Written:
    """Records of ``definitions``, one a day, for those who follow it and those who read in it."""

    def __init__(self, records: Sequence[Defined]) -> None:
        self.history = DefinitionHistory()
        self._records = records
        for offset, each in enumerate(records):
            self.history.apply(each.key, each.value, offset, millis(DAYS[offset]))

    def place(self, _topic: str, _partition: int) -> None:
        """Return nothing: there is one partition."""

    async def at(self, _place: None, offset: int) -> Any:
        """Return a record."""
        each = self._records[offset]
        return SimpleNamespace(
            key=each.key, value=each.value, offset=offset, timestamp=millis(DAYS[offset])
        )

    async def since(self, version: int) -> datetime:
        """Return since when the tier set was in force, as it had a version."""
        reader: Any = self
        versions = Versions(reader, self.history, PROJECT)
        return await versions.defined_since(Named("tier-set", STATUS), version)


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ((), 0),
        ((tier_set(0, 60),), 0),
        ((tier_set(0, 50).deleted(),), 0),
        ((tier_set(0, 50).deleted(), tier_set(0, 50)), 0),
    ],
)
async def test_what_came_later_does_not_move_the_day_of_a_first_version(
    then: Sequence[Defined], expected: int
) -> None:
    written = Written([tier_set(0, 50), *then])
    assert await written.since(0) == parse_instant(DAYS[expected])


async def test_a_definition_that_was_put_anew_is_in_force_since_then() -> None:
    gone = tier_set(0, 50).deleted()
    other = tier_set(0, 50, id_="other")
    records = [tier_set(0, 50), tier_set(0, 60), gone, other, tier_set(0, 70), tier_set(0, 80)]
    written = Written([*records, gone])
    for version, expected in ((0, 0), (1, 0), (4, 4), (5, 4)):
        assert await written.since(version) == parse_instant(DAYS[expected])

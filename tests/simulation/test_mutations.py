"""The simulation finds each fault that the production code had, once its mending is taken out."""

import re

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.searching import search

MOST = 300
"""Schedules in which a fault must be found; most are found within fifty."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_simulation_finds_a_fault_that_is_put_in(mutation: Mutation) -> None:
    with mutation.enter():
        violation = search(mutation.items, mutation.partitions, MOST)
    assert violation is not None, f"{MOST} schedules found nothing"
    assert re.search(mutation.found, str(violation)), violation

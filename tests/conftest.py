"""Fixtures for all tests: a real broker and a real database, once for the whole run."""

import os
from collections.abc import Iterator

import pytest

from schemas.settings import PREFIX, Settings
from tests.stack import FreshSettings, are_shared, describe, running_servers, stack_directory

# The settings of whoever runs the tests must not reach them.
for _name in [name for name in os.environ if name.startswith(PREFIX)]:
    if not _name.startswith(f"{PREFIX}TEST_"):
        del os.environ[_name]

_SERVERS_STAY = are_shared()


def pytest_report_header() -> str:
    """Say which servers the tests run on."""
    return f"servers: {describe()}"


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """A real broker and a real database; shared by all tests, so nothing of it is anybody's."""
    with running_servers() as settings:
        yield settings


@pytest.fixture(scope="session")
def fresh_settings(servers: Settings) -> Iterator[FreshSettings]:
    """Make settings of one's own: `fresh_settings(partitions=2)`; see `tests.stack`."""
    with stack_directory() as data_dir:
        fresh = FreshSettings(servers, data_dir)
        yield fresh
        if _SERVERS_STAY:
            fresh.remove()

"""Fixtures for all tests: a real broker and a real database, once for the whole run."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from schemas.settings import PREFIX, Settings
from tests.stack import FreshSettings, are_shared, describe, running_servers, stack_directory

# The settings of whoever runs the tests must not reach them.
for _name in [name for name in os.environ if name.startswith(PREFIX)]:
    if not _name.startswith(f"{PREFIX}TEST_"):
        del os.environ[_name]

# No deadlines, for machines are slow, and the same examples each time, so that a run does not fail
# where the one before it passed; whoever asks for more examples gets others each time.
_EXAMPLES = os.environ.get("HYPOTHESIS_MAX_EXAMPLES")
settings.register_profile(
    "milestream",
    deadline=None,
    max_examples=int(_EXAMPLES or 80),
    derandomize=_EXAMPLES is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("milestream")

_SERVERS_STAY = are_shared()


def pytest_report_header() -> str:
    """Say which servers the tests run on."""
    return f"servers: {describe()}"


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """A real broker and a real database; shared by all tests, so nothing of it is anybody's."""
    with running_servers() as found:
        yield found


@pytest.fixture(scope="session")
def fresh_settings(servers: Settings) -> Iterator[FreshSettings]:
    """Make settings of one's own: `fresh_settings(partitions=2)`; see `tests.stack`."""
    with stack_directory() as data_dir:
        fresh = FreshSettings(servers, data_dir)
        yield fresh
        if _SERVERS_STAY:
            fresh.remove()

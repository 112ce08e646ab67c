"""Fixtures for all tests: a real broker and a real database, once for the whole run."""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from schemas.settings import PREFIX, Settings
from tests import in_memory, rewritten
from tests.stack import (
    DATABASE_URL_VARIABLE,
    KAFKA_VARIABLE,
    FreshSettings,
    Template,
    are_shared,
    describe,
    running_servers,
    stack_directory,
)
from tests.tiers import is_slow

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

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

_SERVERS = describe()


def pytest_report_header() -> str:
    """Say which servers the tests run on."""
    return f"servers: {_SERVERS}"


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the run (`-n 5`), start the servers once for all of them."""
    if hasattr(config, "workerinput"):
        from tests.groups import give_way

        give_way(config.workerinput)
    elif (directory := in_memory.begin(os.environ)) is not None:
        config.add_cleanup(lambda: in_memory.end(directory))
    if config.getoption("dist", "no") == "no" or are_shared():
        return
    open_servers = ExitStack()
    config.add_cleanup(open_servers.close)
    with rewritten.meanwhile(config):
        found = open_servers.enter_context(running_servers())
    environment = open_servers.enter_context(pytest.MonkeyPatch.context())
    environment.setenv(KAFKA_VARIABLE, found.kafka)
    environment.setenv(DATABASE_URL_VARIABLE, found.database_url)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave whole files out of `make test-fast`: each process of a run would import them."""
    if config.option.markexpr != "not slow" or not collection_path.match("test_*.py"):
        return None
    return is_slow(collection_path.relative_to(config.rootpath).as_posix()) or None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make test-fast` leaves out."""
    if is_slow(item.nodeid):
        item.add_marker("slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a process of several begin with what takes longest."""
    if hasattr(config, "workerinput"):
        from tests.groups import in_order_of_length

        items[:] = in_order_of_length(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what is collected: thousands of tests stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "Scheduling":
    """Keep together what shares something."""
    from tests.groups import Groups

    return Groups(config, log)


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """A real broker and a real database; shared by all tests, so nothing of it is anybody's."""
    with running_servers() as found:
        yield found


@pytest.fixture(scope="session")
def template(servers: Settings) -> Iterator[Template]:
    """What migrated databases are copied from."""
    made = Template(servers)
    yield made
    made.remove()


@pytest.fixture
def fresh_settings(servers: Settings, template: Template) -> Iterator[FreshSettings]:
    """Make settings of one's own: `fresh_settings(partitions=2)`; see `tests.stack`. What a test
    made with them is removed after it."""
    with _removed_after(servers, template) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def lasting_settings(servers: Settings, template: Template) -> Iterator[FreshSettings]:
    """Make settings for what several tests share, removed after the last test."""
    with _removed_after(servers, template) as fresh:
        yield fresh


@contextmanager
def _removed_after(servers: Settings, template: Template) -> Iterator[FreshSettings]:
    with stack_directory() as data_dir:
        fresh = FreshSettings(servers, data_dir, template)
        yield fresh
        fresh.remove()

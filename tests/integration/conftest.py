"""Integration tests find the servers in the environment too, as a process of ours would."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.stack import DATABASE_URL_VARIABLE, KAFKA_VARIABLE, stack_directory


@pytest.fixture(scope="session", autouse=True)
def servers_in_environment(servers: Settings) -> Iterator[None]:
    """Name the servers in `MILESTREAM_TEST_KAFKA` and `MILESTREAM_TEST_DATABASE_URL`."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setitem(os.environ, KAFKA_VARIABLE, servers.kafka)
        environment.setitem(os.environ, DATABASE_URL_VARIABLE, servers.database_url)
        yield


@pytest.fixture
def stack_dir() -> Iterator[Path]:
    """A directory for the data of stacks that a test starts itself; see `stack_directory`."""
    with stack_directory() as directory:
        yield directory

"""Integration tests find the servers in the environment too, as a process of ours would."""

import os
from collections.abc import Iterator

import pytest

from schemas.settings import Settings
from tests.stack import DATABASE_URL_VARIABLE, KAFKA_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def servers_in_environment(servers: Settings) -> Iterator[None]:
    """Name the servers in `MILESTREAM_TEST_KAFKA` and `MILESTREAM_TEST_DATABASE_URL`."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setitem(os.environ, KAFKA_VARIABLE, servers.kafka)
        environment.setitem(os.environ, DATABASE_URL_VARIABLE, servers.database_url)
        yield

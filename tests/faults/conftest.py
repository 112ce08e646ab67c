"""Servers of the harness's own, which its faults may kill: once for all of its tests."""

from collections.abc import Iterator

import pytest

from tests.faults.stack import Servers, running_servers


@pytest.fixture(scope="package")
def servers() -> Iterator[Servers]:
    """Three brokers and a database."""
    with running_servers(3) as running:
        yield running

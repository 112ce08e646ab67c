"""An API without a worker, and one with worker and projector, each once for all tests here."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.integration.api.serving import Served, served
from tests.stack import FreshSettings


@pytest.fixture(scope="session")
def api_without_worker(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """An API whose requests nobody answers, and whose read models nobody fills."""
    with served(lasting_settings, log=tmp_path_factory.mktemp("api_without_worker")) as api:
        yield api


@pytest.fixture(scope="session")
def full_stack(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """An API with a worker and a projector."""
    log = tmp_path_factory.mktemp("full_stack")
    with served(lasting_settings, "worker", "projector", log=log) as api:
        yield api


@pytest_asyncio.fixture
async def admin(full_stack: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the full stack with role admin."""
    async with await full_stack.client() as client:
        yield client

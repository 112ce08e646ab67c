"""A database that stands still acknowledges what it is sent, and answers nothing."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from api import database_deadline, resources
from api.auth.credentials import Keyring
from api.queries import operations
from tests.faults.proxy import Proxy
from tests.integration.api.serving import Served


@pytest.fixture
def line(api_without_worker: Served) -> Iterator[Proxy]:
    """What stands between an API and its database."""
    port = urlsplit(api_without_worker.settings.database_url).port
    assert port is not None
    made = Proxy(port)
    yield made
    made.close()


async def test_who_waits_for_it_is_told_so(
    api_without_worker: Served, line: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await api_without_worker.key()
    url = urlsplit(api_without_worker.settings.database_url)
    behind = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{line.port}").geturl()
    settings = api_without_worker.settings.model_copy(update={"database_url": behind})
    async with asyncio.timeout(120), resources.connection_pool(settings) as pool:
        keyring = Keyring(pool, settings.master_key)
        assert await keyring.verify(key.key_id, key.secret) is not None
        line.halve()
        monkeypatch.setattr(database_deadline, "QUICK_SECONDS", 0.2)
        monkeypatch.setattr(resources, "CHECK_SECONDS", 3600.0)  # only the statement waits
        with pytest.raises(psycopg.OperationalError):
            await Keyring(pool, settings.master_key).verify(key.key_id, key.secret)
        monkeypatch.setattr(resources, "CHECK_SECONDS", 0.0)
        with pytest.raises(psycopg.OperationalError):
            await keyring.token_key("elsewhere")
        line.heal()
        async with pool.connection(60) as connection:
            await operations.ping(connection)

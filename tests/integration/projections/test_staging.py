"""Staging tables: made when they are needed, and again where a transaction took them back."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio

from projections import checkpoints
from projections.batch import Batch, CheckpointKey
from projections.catalogue import PROJECTIONS
from projections.database import Database, TableWriter
from schemas import outputs
from schemas.read_models import READ_MODELS
from schemas.topics import MEMBER_EVENTS
from tests.unit.projections.events import member_upserted

TABLES = [table for table, topics in READ_MODELS.items() if MEMBER_EVENTS in topics]


@pytest_asyncio.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """A projector's connection."""
    opened = await Database.open(migrated_url, PROJECTIONS)
    places = [CheckpointKey(table, MEMBER_EVENTS, 0) for table in TABLES]
    await checkpoints.read(opened.connection, places)
    yield opened
    await opened.close()


def batch(number: int) -> Batch:
    """Return the batch of one member, the record at the offset of its number."""
    made = Batch(PROJECTIONS)
    value = outputs.encode(member_upserted(number, 1))
    record = SimpleNamespace(offset=number, timestamp=0, key=b"", value=value)
    made.take(MEMBER_EVENTS, 0, [record], dict.fromkeys(TABLES, number), number + 1)
    return made


async def staged(database: Database) -> set[str]:
    """Return the names of the connection's staging tables."""
    cursor = await database.connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'"
    )
    return {str(name) for (name,) in await cursor.fetchall()}


async def members(database: Database) -> int:
    """Return how many members there are."""
    cursor = await database.connection.execute("SELECT count(*) FROM milestream.members")
    (count,) = await cursor.fetchone() or (None,)
    return int(str(count))


async def test_only_tables_that_were_written_have_one(database: Database) -> None:
    assert await staged(database) == set()
    await database.write(batch(0))
    made = await staged(database)
    assert "staging_members" in made
    assert len(made) <= len(TABLES)
    await database.write(batch(1))
    assert await staged(database) == made
    assert await members(database) == 2


async def test_one_that_was_rolled_back_is_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = TableWriter.write

    async def interrupted(self: TableWriter, *arguments: object) -> None:
        await write(self, *arguments)  # type: ignore[arg-type]
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(TableWriter, "write", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await database.write(batch(0))
    assert await staged(database) == set()
    await database.write(batch(0))
    assert await members(database) == 1

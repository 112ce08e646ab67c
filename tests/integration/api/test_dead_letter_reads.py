"""What the dashboard's reads of dead letters cost: what they look at, not what lies between."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection

from api.queries.dashboard import dead_letters as queries
from tests.stack import FreshSettings

NONE_PASSED = queries.Passed([], [], [])
LIMIT = 51


@pytest.fixture
async def connection(fresh_settings: FreshSettings) -> AsyncIterator[AsyncConnection]:
    """A connection to 30,000 letters of `busy`, of which the oldest two are `poison`, and 10,000 of
    `quiet` that are all older than those of `busy`."""
    url = fresh_settings.migrated().database_url
    async with await AsyncConnection.connect(url) as opened:
        await opened.execute(
            """
            INSERT INTO milestream.dead_letters (project, reason, message, topic, partition,
                "offset", key_encoding, headers, attempts, at, place)
            SELECT CASE WHEN n < 10000 THEN 'quiet' ELSE 'busy' END,
                CASE WHEN n IN (10000, 10001) THEN 'poison' ELSE 'invalid' END, '', 'events', 0, n,
                'utf-8', '[]', 1, '2026-01-01Z'::timestamptz + n * interval '1 s', n
            FROM generate_series(0, 39999) AS n
            """
        )
        await opened.execute("ANALYZE milestream.dead_letters")
        await opened.commit()
        yield opened


async def rows_read(connection: AsyncConnection) -> int:
    """Return how many letters were read since the transaction began; end it."""
    cursor = await connection.execute(
        """
        SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables
        WHERE relid = 'milestream.dead_letters'::regclass
        """
    )
    found: Any = await cursor.fetchone()
    await connection.rollback()
    return int(found[0])


async def test_counting_a_rare_reason_reads_no_letters_of_others(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "COUNTED", 100)
    found = await queries.reasons(connection, "busy", NONE_PASSED)
    assert {each["reason"]: each["letters"] for each in found} == {"invalid": 100, "poison": 2}
    assert await rows_read(connection) <= 3 * (queries.COUNTED + 1)


@pytest.mark.parametrize("reason", [None, "invalid"])
async def test_a_page_reads_no_letters_of_others(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    monkeypatch.setattr(queries, "LOOKED_THROUGH", 100)
    found = await queries.page(
        connection, "quiet", NONE_PASSED, reason=reason, waiting=True, offset=0, limit=LIMIT
    )
    assert [each["offset"] for each in found] == list(range(9999, 9999 - LIMIT, -1))
    assert await rows_read(connection) <= queries.LOOKED_THROUGH

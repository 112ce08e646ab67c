"""Budgets of requests of busy callers, over all API processes."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection


@dataclass(frozen=True)
class Spent:
    """What one process counted for a caller since its last report."""

    caller: bytes
    rate: float
    burst: float
    requests: float


async def spend(connection: AsyncConnection, spent: Sequence[Spent]) -> dict[bytes, float]:
    """Subtract what was spent from the callers' budgets; return what each has left, which may be
    negative.

    The database's clock refills them, so that all processes agree.
    """
    ordered = sorted(spent, key=lambda each: each.caller)  # processes lock rows in one order
    cursor = await connection.execute(
        """
        INSERT INTO milestream_private.request_budgets AS known (caller, left_over, rate, burst, at)
        SELECT caller, burst - requests, rate, burst, clock_timestamp()
        FROM unnest(%s::bytea[], %s::float8[], %s::float8[], %s::float8[])
            WITH ORDINALITY AS spent (caller, rate, burst, requests, place)
        ORDER BY place
        ON CONFLICT (caller) DO UPDATE SET
            left_over = excluded.left_over - excluded.burst + least(
                excluded.burst,
                known.left_over
                    + excluded.rate * greatest(0, extract(epoch FROM excluded.at - known.at))
            ),
            rate = excluded.rate, burst = excluded.burst, at = greatest(known.at, excluded.at)
        RETURNING caller, left_over
        """,
        (
            [each.caller for each in ordered],
            [each.rate for each in ordered],
            [each.burst for each in ordered],
            [each.requests for each in ordered],
        ),
    )
    return {bytes(caller): left for caller, left in await cursor.fetchall()}


async def forget(connection: AsyncConnection) -> None:
    """Delete callers that were silent for a minute and have a full budget again."""
    await connection.execute(
        """
        DELETE FROM milestream_private.request_budgets WHERE caller = ANY (ARRAY(
            SELECT caller FROM milestream_private.request_budgets
            WHERE at < clock_timestamp() - interval '1 minute'
                AND left_over + rate * extract(epoch FROM clock_timestamp() - at) >= burst
            ORDER BY caller LIMIT 10000 FOR UPDATE SKIP LOCKED
        ))
        """
    )

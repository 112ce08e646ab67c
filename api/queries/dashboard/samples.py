"""Samples of members, which cost their limit however many members there are.

Ids of members are uuid5, so the members with the smallest ids are as good as drawn by lot, and an
index has them in order. Where the limit cuts them off, how far the ids came tells the share of all
that they are.
"""

from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Rows = list[dict[str, Any]]


class Sample(NamedTuple):
    """Rows of a sample.

    Attributes:
        rows: what the statement made of it.
        share: of all, which part it is; 1: it is all, and what it comes to is exact.
    """

    rows: Rows
    share: float


def share_of(taken: int, limit: int, last: UUID | None) -> float:
    """Return which part of all ids those up to the last one are; 1 where the limit cut nothing."""
    if taken < limit or last is None:
        return 1.0
    return max((last.int >> 80) / 2**48, 2**-48)


async def rows(connection: AsyncConnection, statement: LiteralString, **given: object) -> Rows:
    """Return what a statement finds, by the columns' names."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, given)
        return await cursor.fetchall()


async def sampled(
    connection: AsyncConnection, statement: LiteralString, limit: int, **given: object
) -> Sample:
    """Return what a statement makes of a sample; its rows have `taken` and `last` of the sample,
    which are taken away."""
    found = await rows(connection, statement, limit=limit, **given)
    share = 1.0
    for row in found:
        share = share_of(row.pop("taken"), limit, row.pop("last"))
    return Sample(found, share)

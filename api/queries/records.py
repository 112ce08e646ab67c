"""SQL of records: a page, its count, one to show, one to change."""

from functools import lru_cache
from typing import Any, NamedTuple

from psycopg import AsyncConnection, AsyncRawCursor, sql
from psycopg.rows import class_row, dict_row, scalar_row

from api.queries.record_fields import Kind, Records
from api.queries.record_json import ROW, record_json
from api.queries.record_listing import Listing, Sort

_ALL = sql.SQL("TRUE")
_NOT_DELETED = sql.SQL("status <> 'deleted'")

Row = dict[str, Any]
"""A row by the record's field names, and its `version`."""


class Shown(NamedTuple):
    """A record as it is shown.

    Attributes:
        version: what makes its ETag; None where it has no versions.
        json: with the fields that were asked for.
    """

    version: int | None
    json: str


async def page(
    connection: AsyncConnection,
    records: Records,
    project: str,
    listing: Listing,
    table: sql.Composable | None = None,
) -> list[str]:
    """Return the JSON of each record of the page that a list request asks for, of another table
    than the records' own where one is given."""
    query = page_text(records, listing, table)
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, (project, *listing.where.values))
        return await cursor.fetchall()


def page_text(records: Records, listing: Listing, table: sql.Composable | None = None) -> bytes:
    """Return the statement of a page; its parameters are the project and those of the filters.

    The limit is part of the statement: with a parameter the database would guess the number of
    rows, and plan the statement anew every time.
    """
    query = sql.SQL(
        """
        SELECT {json} FROM (
            SELECT * FROM {table} AS t WHERE project = %s AND {visible} AND {where}
            ORDER BY {order} LIMIT {limit} OFFSET {offset}
        ) AS {row} ORDER BY {order}
        """
    )
    return query.format(
        **_parts(records, table),
        json=record_json(records, listing.names),
        row=ROW,
        where=listing.where.text,
        order=_order(records, listing.sorts),
        limit=sql.Literal(listing.limit),
        offset=sql.Literal(listing.offset),
    ).as_bytes(None)


async def count(
    connection: AsyncConnection,
    records: Records,
    project: str,
    listing: Listing,
    table: sql.Composable | None = None,
) -> int:
    """Return how many of a project's records fulfil a list request's filters."""
    query = sql.SQL(
        "SELECT count(*) FROM {table} AS t WHERE project = %s AND {visible} AND {where}"
    ).format(**_parts(records, table), where=listing.where.text)
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, (project, *listing.where.values))
        return int(await cursor.fetchone() or 0)


async def shown(
    connection: AsyncConnection,
    records: Records,
    project: str,
    record_id: str,
    names: tuple[str, ...],
    *,
    table: sql.Composable | None = None,
) -> Shown | None:
    """Return a project's record by its id as it is shown, None where it has no such one; of another
    table than the records' own where one is given."""
    text = shown_text(records, names) if table is None else _shown_text(records, names, table)
    # A raw cursor does not scan ten thousand characters for placeholders each time.
    async with AsyncRawCursor(connection, row_factory=class_row(Shown)) as cursor:
        await cursor.execute(text, (project, record_id))
        return await cursor.fetchone()


@lru_cache(maxsize=256)
def shown_text(records: Records, names: tuple[str, ...]) -> bytes:
    """Return the statement of one record; $1 is the project and $2 the id."""
    return _shown_text(records, names, None)


def _shown_text(records: Records, names: tuple[str, ...], table: sql.Composable | None) -> bytes:
    query = sql.SQL(
        """
        SELECT {version} AS version, {json} AS json FROM {table} AS {row}
        WHERE project = $1 AND {visible} AND {id} = $2::uuid
        """
    )
    version = sql.SQL("version" if records.versioned else "NULL")
    json = record_json(records, names)
    parts = _parts(records, table)
    return query.format(**parts, version=version, json=json, row=ROW).as_bytes(None)


async def one(
    connection: AsyncConnection, records: Records, project: str, record_id: str
) -> Row | None:
    """Return a project's record by its id, None where it has no such one."""
    columns: list[sql.Composable] = [
        sql.SQL("{} AS {}").format(sql.Identifier(field.column), sql.Identifier(field.name))
        for field in records.fields
    ]
    if records.versioned and records.field("version") is None:
        columns.append(sql.Identifier("version"))
    query = sql.SQL(
        "SELECT {columns} FROM {table} WHERE project = %s AND {visible} AND {id} = %s::uuid"
    ).format(**_parts(records), columns=sql.SQL(", ").join(columns))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, (project, record_id))
        return await cursor.fetchone()


def _parts(records: Records, table: sql.Composable | None = None) -> dict[str, sql.Composable]:
    return {
        "table": sql.Identifier("milestream", records.table) if table is None else table,
        "visible": _NOT_DELETED if records.hides_deleted else _ALL,
        "id": sql.Identifier(records.id_column),
    }


def _order(records: Records, sorts: tuple[Sort, ...]) -> sql.Composable:
    """Order by the listed fields, then by id, so that pages never overlap.

    Records without a value come last. That is stated only for nullable columns: an index cannot
    serve an order that states where nulls go.
    """
    terms: list[sql.Composable] = []
    for field, descending in sorts:
        term: sql.Composable = sql.Identifier(field.column)
        if field.kind is Kind.TEXT:
            term = sql.SQL('{} COLLATE "C"').format(term)
        if descending:
            term = sql.SQL("{} DESC").format(term)
        if field.nullable:
            term = sql.SQL("{} NULLS LAST").format(term)
        terms.append(term)
    tie_break = sql.Identifier(records.id_column)
    last_descends = sorts[-1].descending if sorts else True
    terms.append(sql.SQL("{} DESC").format(tie_break) if last_descends else tie_break)
    return sql.SQL(", ").join(terms)

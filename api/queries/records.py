"""Reading records: a page of them, how many there are, one, and some by their ids."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row, scalar_row

from api.records.fields import Kind, Records
from api.records.listing import Listing, Sort

_ALL = sql.SQL("TRUE")
_NOT_DELETED = sql.SQL("status <> 'deleted'")

Row = dict[str, Any]
"""A row by the record's field names; hidden columns by their own."""


async def page(
    connection: AsyncConnection, records: Records, project: str, listing: Listing
) -> list[Row]:
    """Return the page of a project's records that a list request asks for."""
    query = sql.SQL(
        """
        SELECT {columns} FROM {table}
        WHERE project = %s AND {visible} AND {where}
        ORDER BY {order} LIMIT %s OFFSET %s
        """
    ).format(**_parts(records), where=listing.where.text, order=_order(records, listing.sorts))
    values = (project, *listing.where.values, listing.limit, listing.offset)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def count(
    connection: AsyncConnection, records: Records, project: str, listing: Listing
) -> int:
    """Return how many of a project's records fulfil a list request's filters."""
    query = sql.SQL(
        "SELECT count(*) FROM {table} WHERE project = %s AND {visible} AND {where}"
    ).format(**_parts(records), where=listing.where.text)
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, (project, *listing.where.values))
        return int(await cursor.fetchone() or 0)


async def one(
    connection: AsyncConnection, records: Records, project: str, record_id: str
) -> Row | None:
    """Return a project's record by its id, None where it has no such one."""
    query = sql.SQL(
        "SELECT {columns} FROM {table} WHERE project = %s AND {visible} AND {id} = %s::uuid"
    ).format(**_parts(records))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, (project, record_id))
        return await cursor.fetchone()


async def some(
    connection: AsyncConnection, records: Records, project: str, ids: Collection[UUID]
) -> Mapping[UUID, Row]:
    """Return those of a project's records that have one of these ids, by id."""
    if not ids:
        return {}
    query = sql.SQL(
        "SELECT {columns} FROM {table} WHERE project = %s AND {visible} AND {id} = ANY(%s::uuid[])"
    ).format(**_parts(records))
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, (project, list(ids)))
        return {row["id"]: row async for row in cursor}


def _parts(records: Records) -> dict[str, sql.Composable]:
    columns: list[sql.Composable] = [
        sql.SQL("{} AS {}").format(sql.Identifier(field.column), sql.Identifier(field.name))
        for field in records.fields
    ]
    columns += [sql.Identifier(name) for name in records.hidden]
    if records.versioned and records.field("version") is None:
        columns.append(sql.Identifier("version"))
    return {
        "columns": sql.SQL(", ").join(columns),
        "table": sql.Identifier("milestream", records.table),
        "visible": _NOT_DELETED if records.hides_deleted else _ALL,
        "id": sql.Identifier(records.id_column),
    }


def _order(records: Records, sorts: tuple[Sort, ...]) -> sql.Composable:
    """Order by the fields wanted, then by id, so that pages never overlap.

    Records without a value come last. That is said only where there can be such records: an index
    cannot serve an order that says where the nulls go.
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

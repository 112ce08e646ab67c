"""Reads of records: one by its id, and pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from fastapi import Request, Response
from psycopg import AsyncConnection, sql

from api import resources
from api.auth.access import Caller
from api.http.moments import as_of
from api.http.preconditions import etag
from api.http.problems import not_found
from api.http.responses import json_response, page_response
from api.kafka import past
from api.kafka.processor_client import BEHIND, unavailable
from api.queries import past as history
from api.queries import record_listing
from api.queries import records as queries
from api.queries.operations import snapshot
from api.queries.record_fields import Records
from api.queries.records import Row, Shown
from schemas.ids import is_uuid
from schemas.topics import PROGRESS_EVENTS

T = TypeVar("T")


async def get(request: Request, caller: Caller, records: Records, record_id: str) -> Response:
    """Answer one record, with an ETag where it has versions; where it is asked for, as it was."""
    names = record_listing.names_of(request.query_params.get("fields"), records)
    moment = as_of(request)
    if moment is not None:
        id_ = _stored_id(records, record_id)
        async with _then(request, caller, records, moment) as (connection, table):
            found = await queries.shown(
                connection, records, caller.project, id_, names, table=table
            )
        return json_response(_there(found, records, record_id).json.encode())
    record = await shown(request, caller, records, record_id, names)
    headers = None if record.version is None else {"etag": etag(record.version)}
    return json_response(record.json.encode(), headers=headers)


async def shown(
    request: Request, caller: Caller, records: Records, record_id: str, names: tuple[str, ...]
) -> Shown:
    """Return one record with these fields, after the barrier.

    Raises:
        Problem: 404.
    """

    async def ask(connection: AsyncConnection, id_: str) -> Shown | None:
        return await queries.shown(connection, records, caller.project, id_, names)

    found, _ = await _one(request, records, record_id, ask)
    return _there(found, records, record_id)


async def row_of(request: Request, caller: Caller, records: Records, record_id: str) -> Row:
    """Return the row of one record to be changed; see `shown`.

    Raises:
        Problem: 404, or 503: the table is too far behind to tell. Whoever is told 404 gives up.
    """

    async def ask(connection: AsyncConnection, id_: str) -> Row | None:
        return await queries.one(connection, records, caller.project, id_)

    found, current = await _one(request, records, record_id, ask)
    if found is None and not current:
        raise unavailable(BEHIND)
    return _there(found, records, record_id)


async def _one(
    request: Request,
    records: Records,
    record_id: str,
    ask: Callable[[AsyncConnection, str], Awaitable[T | None]],
) -> tuple[T | None, bool]:
    """Return what is found of a record after the barrier, and whether the table is up to date.

    Raises:
        Problem: 404, the id is malformed.
    """
    id_ = _stored_id(records, record_id)
    held = resources.of(request)
    current = await held.barrier.wait(records.waits_for)
    async with held.reads.connection() as connection:
        return await ask(connection, id_), current


def _there(found: T | None, records: Records, record_id: str) -> T:
    if found is None:
        raise not_found(records.slug, record_id)
    return found


def _stored_id(records: Records, record_id: str) -> str:
    if not is_uuid(record_id.lower()):
        raise not_found(records.slug, record_id)
    return record_id.lower()


async def list_(request: Request, caller: Caller, records: Records) -> Response:
    """Answer a page of records; where it is asked for, as they were."""
    listing = record_listing.parse(request, records)
    moment = as_of(request)
    total = None
    async with _source(request, caller, records, moment) as (connection, table):
        data = await queries.page(connection, records, caller.project, listing, table)
        if listing.with_total:
            total = await queries.count(connection, records, caller.project, listing, table)
    paging = {"offset": listing.offset, "limit": listing.limit, "totalCount": total}
    return page_response(data, paging)


@asynccontextmanager
async def _source(
    request: Request, caller: Caller, records: Records, moment: datetime | None
) -> AsyncIterator[tuple[AsyncConnection, sql.Composable | None]]:
    """Yield a connection, and what to read instead of the records' own table, None: that itself."""
    if moment is not None:
        async with _then(request, caller, records, moment) as then:
            yield then
        return
    held = resources.of(request)
    await held.barrier.wait(records.waits_for)
    async with held.reads.connection() as connection:
        yield connection, None


@asynccontextmanager
async def _then(
    request: Request, caller: Caller, records: Records, moment: datetime
) -> AsyncIterator[tuple[AsyncConnection, sql.Composable]]:
    """Yield a connection, and what to read to find the progress of an earlier moment.

    Raises:
        Problem: 503, the tables are behind that moment, or must be rebuilt first.
    """
    held = resources.of(request)
    then = await past.at(held.barrier, moment, (*records.waits_for, *records.history))
    async with held.reads.connection() as connection, snapshot(connection):
        lacking = await history.without_place(connection, caller.project, ("challenge_logs",))
        if lacking:
            raise past.rebuild_first(*lacking)
        yield connection, history.progress_table(then.ends[PROGRESS_EVENTS])

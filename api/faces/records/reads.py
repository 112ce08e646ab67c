"""Reads of records: one by its id, and pages."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request, Response
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.http.preconditions import etag
from api.http.problems import not_found
from api.http.responses import json_response, page_response
from api.kafka.processor_client import BEHIND, unavailable
from api.queries import record_listing
from api.queries import records as queries
from api.queries.record_fields import Records
from api.queries.records import Row, Shown
from schemas.ids import is_uuid

T = TypeVar("T")


async def get(request: Request, caller: Caller, records: Records, record_id: str) -> Response:
    """Answer one record, with an ETag where it has versions."""
    names = record_listing.names_of(request.query_params.get("fields"), records)
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
    """Answer a page of records."""
    listing = record_listing.parse(request, records)
    held = resources.of(request)
    await held.barrier.wait(records.waits_for)
    total = None
    async with held.reads.connection() as connection:
        data = await queries.page(connection, records, caller.project, listing)
        if listing.with_total:
            total = await queries.count(connection, records, caller.project, listing)
    paging = {"offset": listing.offset, "limit": listing.limit, "totalCount": total}
    return page_response(data, paging)

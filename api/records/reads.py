"""Reading records: one by its id, and pages of them."""

from fastapi import Request, Response

from api import resources
from api.access import Caller
from api.answers import answer
from api.preconditions import etag
from api.problems import not_found
from api.queries import records as queries
from api.queries.records import Row
from api.records import listing
from api.records.fields import Records
from api.records.shapes import shown
from schemas.ids import is_uuid


async def get(request: Request, caller: Caller, records: Records, record_id: str) -> Response:
    """Answer one record, with an ETag where it has versions."""
    names = listing.names_of(request.query_params.get("fields"), records)
    row = await row_of(request, caller, records, record_id)
    async with resources.of(request).pool.connection() as connection:
        (record,) = await shown(connection, records, caller.project, [row], names)
    headers = {"etag": etag(row["version"])} if records.versioned else None
    return answer(record, headers=headers)


async def row_of(request: Request, caller: Caller, records: Records, record_id: str) -> Row:
    """Return the row of one record, once the read models hold what was published before.

    Raises:
        Problem: 404.
    """
    if not is_uuid(record_id.lower()):
        raise not_found(records.slug, record_id)
    held = resources.of(request)
    await held.barrier.wait(records.waits_for)
    async with held.pool.connection() as connection:
        row = await queries.one(connection, records, caller.project, record_id.lower())
    if row is None:
        raise not_found(records.slug, record_id)
    return row


async def list_(request: Request, caller: Caller, records: Records) -> Response:
    """Answer a page of records."""
    wanted = listing.parse(request, records)
    held = resources.of(request)
    await held.barrier.wait(records.waits_for)
    total = None
    async with held.pool.connection() as connection:
        rows = await queries.page(connection, records, caller.project, wanted)
        if wanted.with_total:
            total = await queries.count(connection, records, caller.project, wanted)
        data = await shown(connection, records, caller.project, rows, wanted.names)
    paging = {"offset": wanted.offset, "limit": wanted.limit, "totalCount": total}
    return answer({"data": data, "paging": paging})

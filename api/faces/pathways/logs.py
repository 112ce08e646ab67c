"""The response: a pathway's activities with their logs, streamed while they are read.

One transaction reads one snapshot for as long as the response takes, with few logs in memory. It
ends and returns its connection when the caller disconnects or stops reading.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from fastapi import Response
from psycopg import AsyncConnection
from starlette.types import Receive, Scope, Send

from api.auth.shares import READER, Shares
from api.faces.pathways.bodies import LogsQuery, Names
from api.faces.pathways.selection import activities_of, pathway_named
from api.http.responses import MEDIA_TYPE
from api.queries import pathway_logs as queries
from api.queries.operations import snapshot
from api.queries.pathway_logs import Activity, Pathway, Selection
from api.resources import Resources
from schemas.caseless import caseless

logger = logging.getLogger(__name__)

MODELS = (
    "pathways",
    "pathway_profiles",
    "pathway_enrolments",
    "pathway_logs",
    "pathway_standings",
)
"""The read models that an answer is made from."""

PATIENCE_SECONDS = 30.0
"""How long a caller may stop reading."""

MOST_AT_ONCE = 8
"""Concurrent responses in one process: each holds one of its ten connections for reads."""

_PIECE_BYTES = 64 * 1024

_PLACES: WeakKeyDictionary[object, Shares] = WeakKeyDictionary()
"""The semaphores of responses, by the pool of connections."""


class PathwayLogs(Response):
    """Answers a request for the logs of a pathway; `began` is when it came, by the clock of
    `time.perf_counter`."""

    def __init__(self, held: Resources, project: str, query: LogsQuery, began: float) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        self._held = held
        self._project = project
        self._query = query
        self._began = began

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stop where the caller leaves.

        Raises:
            Problem: 400 or 404, the pathway is not known; 503, too many answers are under way.
            psycopg.Error: the database fails; where the answer had begun, it is broken off.
        """
        answering = asyncio.create_task(self._answer(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            leaving.cancel()
            # Both end before the request, so that the connection is back in its pool.
            await asyncio.gather(answering, leaving, return_exceptions=True)
        if answering.cancelled():
            return
        try:
            answering.result()
        except _NotRead:
            logger.warning("broken off: nothing was read for %.0f s", PATIENCE_SECONDS)

    async def _answer(self, send: Send) -> None:
        async with (
            _place(self._held),
            self._held.reads.connection() as connection,
            snapshot(connection),
        ):
            filtered = bool(self._query.groups or self._query.users)
            await queries.plan_for(connection, filtered=filtered)
            pathways = await queries.pathways(connection, self._project)
            pathway = pathway_named(self._query.pathway, pathways)
            body = _Body(send)
            hashed = hashlib.md5(usedforsecurity=False)
            await body.put(b'{"status":"success","data":')
            async with aclosing(self._data(connection, pathway)) as data:
                async for piece in data:
                    hashed.update(piece)
                    await body.put(piece)
            took = time.perf_counter() - self._began
            await body.end(f',"hash":"{hashed.hexdigest()}","response_time":{took}}}'.encode())

    async def _data(
        self, connection: AsyncConnection, pathway: Pathway
    ) -> AsyncGenerator[bytes, None]:
        """Yield the JSON of `data`, piece by piece."""
        query = self._query
        found = await queries.activities(connection, self._project, pathway.id)
        counts = await queries.stats(connection, self._project, pathway.id)
        groups, users = _searched(query.groups), _searched(query.users)
        shown = {"name": pathway.name, "type": "pathway", "ID": pathway.id}
        yield b'[{"pathway":' + msgspec.json.encode(shown) + b',"activities":['
        comma = b""
        for activity in activities_of(found, query):
            yield comma + _head(activity, counts)
            selection = Selection(self._project, pathway.id, activity.id, groups, users)
            async with aclosing(queries.logs(connection, selection)) as batches:
                before = ""
                async for batch in batches:
                    yield (before + ",".join(batch)).encode()
                    before = ","
            yield b"]}"
            comma = b","
        yield b"]}]"


def _head(activity: Activity, counts: dict[str, int]) -> bytes:
    """Return an activity up to its logs."""
    shown: dict[str, Any] = {
        "ID": activity.id,
        "name": activity.name,
        "type": activity.type,
        "fulfilmentType": activity.fulfilment_type,
        "required": activity.required,
        "level": activity.level,
        "stats": {
            "total": counts.get(queries.THE_PATHWAY, 0),
            "completed": counts.get(activity.id, 0),
        },
    }
    return msgspec.json.encode(shown)[:-1] + b',"logs":['


def _searched(names: Names) -> list[str] | None:
    return [caseless(name) for name in names] or None


class _NotRead(Exception):
    """The caller reads no further."""


class _Body:
    """Sends an answer's body in pieces that are worth sending."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pieces: list[bytes] = []
        self._size = 0
        self._started = False

    async def put(self, piece: bytes) -> None:
        """Take a piece; wait where the caller is slow."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _PIECE_BYTES:
            await self._flush(more=True)

    async def end(self, piece: bytes) -> None:
        """Take the last piece."""
        self._pieces.append(piece)
        await self._flush(more=False)

    async def _flush(self, *, more: bool) -> None:
        body = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if not self._started:
            self._started = True
            headers = [(b"content-type", MEDIA_TYPE.encode())]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise _NotRead from None


async def _left(receive: Receive) -> None:
    """Return when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def _place(held: Resources) -> AsyncIterator[None]:
    """Take a place among the concurrent responses, which leaves connections for other reads.

    Raises:
        Problem: 503, none comes free for the project.
    """
    places = _PLACES.setdefault(held.pool, Shares(MOST_AT_ONCE))
    async with places.permit(READER.get().project):
        yield

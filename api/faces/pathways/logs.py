"""The response: a pathway's activities with their logs, streamed while they are read.

One transaction reads one snapshot for as long as the response takes, with few logs in memory. It
ends and returns its connection when the caller disconnects or stops reading.
"""

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from psycopg import AsyncConnection

from api.auth.shares import READER, Shares
from api.faces.pathways.bodies import LogsQuery, Names
from api.faces.pathways.selection import activities_of, pathway_named
from api.http.streaming import Body, StreamedResponse
from api.queries import pathway_logs as queries
from api.queries.operations import snapshot
from api.queries.pathway_logs import Activity, Pathway, Selection
from api.resources import Resources
from schemas.caseless import caseless

MODELS = (
    "pathways",
    "pathway_profiles",
    "pathway_enrolments",
    "pathway_logs",
    "pathway_standings",
)
"""The read models that an answer is made from."""

MOST_AT_ONCE = 8
"""Concurrent responses in one process: each holds one of its ten connections for reads."""

_PLACES: WeakKeyDictionary[object, Shares] = WeakKeyDictionary()
"""The semaphores of responses, by the pool of connections."""


class PathwayLogs(StreamedResponse):
    """Answers a request for the logs of a pathway; `began` is when it came, by the clock of
    `time.perf_counter`."""

    def __init__(self, held: Resources, project: str, query: LogsQuery, began: float) -> None:
        super().__init__()
        self._held = held
        self._project = project
        self._query = query
        self._began = began

    async def write(self, body: Body) -> None:
        """Write the answer.

        Raises:
            Problem: 400 or 404, the pathway is not known; 503, too many answers are under way.
            psycopg.Error: the database fails; where the answer had begun, it is broken off.
        """
        async with (
            _place(self._held),
            self._held.reads.connection() as connection,
            snapshot(connection),
        ):
            filtered = bool(self._query.groups or self._query.users)
            await queries.plan_for(connection, filtered=filtered)
            pathways = await queries.pathways(connection, self._project)
            pathway = pathway_named(self._query.pathway, pathways)
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


@asynccontextmanager
async def _place(held: Resources) -> AsyncIterator[None]:
    """Take a place among the concurrent responses, which leaves connections for other reads.

    Raises:
        Problem: 503, none comes free for the project.
    """
    places = _PLACES.setdefault(held.pool, Shares(MOST_AT_ONCE))
    async with places.permit(READER.get().project):
        yield

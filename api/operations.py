"""Health, readiness and metrics."""

import asyncio
from typing import Any

import psycopg
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from psycopg_pool import PoolTimeout

from api import resources
from api.http.face import Chapter, Face
from api.http.responses import json_response
from api.http.routing import DirectRoute
from api.metrics import CONTENT_TYPE
from api.queries import operations as queries
from api.resources import Resources

TAG = "operations"

router = APIRouter(tags=[TAG], route_class=DirectRoute)

MAX_LAG_SECONDS = 30.0
"""The lag over which the projection is not ready."""

_CHECK_SECONDS = 3.0


_UNWELL = {"responses": {"503": {"description": "It is not well; what is not is said."}}}


@router.get("/healthz", summary="Is the process alive", openapi_extra=_UNWELL)
async def healthz(request: Request) -> Response:
    """Answer 200 while the process does its work, 503 where it should be restarted."""
    failed = resources.of(request).failed()
    return json_response({"status": "failed" if failed else "ok"}, 503 if failed else 200)


@router.get("/readyz", summary="Can it serve", openapi_extra=_UNWELL)
async def readyz(request: Request) -> Response:
    """Answer 200 where broker, database, projection, workers and all API processes are well, else
    503 with what is not."""
    held = resources.of(request)
    broker, database = await asyncio.gather(_broker(held), _database(held))
    parts = {
        "broker": broker,
        "database": database,
        "projection": _projection(held) if broker["ok"] and database["ok"] else _UNKNOWN,
        "workers": _workers(held),
    }
    if held.siblings.count > 1:
        parts["processes"] = _processes(held)
    ready = all(part["ok"] for part in parts.values())
    return json_response(
        {"status": "ready" if ready else "not ready", **parts}, 200 if ready else 503
    )


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Answer the metrics of all API processes in Prometheus' text format."""
    held = resources.of(request)
    return Response(held.metrics.exposition(), headers={"content-type": CONTENT_TYPE})


async def _broker(held: Resources) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await held.barrier.ends()
    except (KafkaError, OSError, TimeoutError):
        return {"ok": False, "reason": "the broker does not answer"}
    if held.failed():
        return {"ok": False, "reason": "a background task has ended"}
    return {"ok": True}


async def _database(held: Resources) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_CHECK_SECONDS), held.pool.connection() as connection:
            await queries.ping(connection)
    except psycopg.errors.UndefinedTable:
        return {"ok": False, "reason": "the database was not migrated"}
    except (psycopg.Error, PoolTimeout, OSError, TimeoutError):
        return {"ok": False, "reason": "the database does not answer"}
    return {"ok": True}


_UNKNOWN = {"ok": False, "reason": "how far the read models are is not known"}


def _projection(held: Resources) -> dict[str, Any]:
    lag = held.lag
    measured = {"lagRecords": lag.records, "lagSeconds": round(lag.seconds, 1)}
    if lag.seconds > MAX_LAG_SECONDS:
        return {"ok": False, "reason": "the read models are behind", **measured}
    return {"ok": True, **measured}


def _workers(held: Resources) -> dict[str, Any]:
    still = held.ticks.still()
    if still:
        return {"ok": False, "reason": "no_worker", "partitions": still}
    return {"ok": True}


def _processes(held: Resources) -> dict[str, Any]:
    silent = held.siblings.silent()
    if silent:
        return {"ok": False, "reason": "not all API processes serve", "processes": silent}
    return {"ok": True}


FACE = Face(router, Chapter(TAG, security=()))

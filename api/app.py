"""The HTTP application: the faces, the middleware and the handlers of errors."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

import psycopg
from fastapi import FastAPI, Request, Response

from api import operations, reference, resources
from api.faces import (
    clock,
    dashboard,
    definitions,
    events,
    explanations,
    game_mechanics,
    pathways,
    recalculations,
    records,
    sessions,
)
from api.http import problems
from api.http.face import FaceMiddleware, guards
from api.http.middleware import Envelope
from api.http.problems import Problem
from api.metrics import Metrics
from api.siblings import Siblings
from schemas.settings import Settings
from schemas.tracing import Tracing

logger = logging.getLogger(__name__)

FACES = (
    operations.FACE,
    reference.FACE,
    dashboard.FACE,
    sessions.FACE,
    definitions.FACE,
    clock.FACE,
    records.FACE,
    events.FACE,
    game_mechanics.FACE,
    pathways.FACE,
    explanations.FACE,
    recalculations.FACE,
)
"""The faces that are served. The OpenAPI document lists them in this order."""

DESCRIPTION = "Challenges, milestones, points and rewards, folded from what people do."


def create_app(
    settings: Settings, siblings: Siblings | None = None, tracing: Tracing | None = None
) -> FastAPI:
    """Return the application of one of these processes; its lifespan opens what it needs and closes
    it."""
    metrics = Metrics()
    siblings = Siblings() if siblings is None else siblings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with resources.opened(settings, metrics, siblings, tracing) as opened:
            app.state.resources = opened
            yield

    app = FastAPI(
        title="Milestream",
        version=metadata.version("milestream"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's own pages load scripts from other sites; those of `reference` do not.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # FastAPI would look for a telemetry backend in every request; `metrics` replaces it.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.faces = FACES
    app.state.siblings = siblings
    problems.install(app, guards(FACES))
    for error in (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        app.add_exception_handler(error, _on_database_away)
    app.add_middleware(Envelope, metrics=metrics, origins=settings.cors_origins, tracing=tracing)
    app.add_middleware(FaceMiddleware, faces=FACES)  # outermost: Envelope's errors need the face
    for face in FACES:
        for route in face.router.routes:
            app.router.routes.append(route)
    return app


async def _on_database_away(request: Request, error: Exception) -> Response:
    """Return the 503 of a database that is away, too slow or not migrated yet."""
    logger.warning("the database does not answer: %s", error)
    detail = "The database does not answer now; try again."
    return problems.response_to(request.scope, Problem(503, detail, headers={"retry-after": "5"}))

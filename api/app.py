"""The HTTP application: its faces, and what is around them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

import psycopg
from fastapi import FastAPI, Request, Response

from api import operations, resources
from api.auth.access import require
from api.auth.credentials import Role
from api.faces import dashboard
from api.faces import definitions as definitions_face
from api.faces.events import routes as events_face
from api.faces.events.access import reader
from api.faces.events.face import PATHS, EventsFace
from api.faces.game_mechanics import routes as game_mechanics_face
from api.faces.game_mechanics.face import GameMechanicsFace
from api.faces.pathways import face as pathways
from api.faces.pathways import routes as pathways_face
from api.faces.records import routes as records_face
from api.http import problems
from api.http.middleware import Envelope
from api.http.problems import Problem
from api.metrics import Metrics
from schemas.settings import Settings

logger = logging.getLogger(__name__)

FACES = (
    operations,
    dashboard,
    definitions_face,
    records_face,
    events_face,
    game_mechanics_face,
    pathways_face,
)
"""What has routes."""

DESCRIPTION = "Challenges, milestones, points and rewards, folded from what people do."


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its lifespan opens what it needs and closes it."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with resources.opened(settings, metrics) as opened:
            app.state.resources = opened
            yield

    app = FastAPI(
        title="Milestream",
        version=metadata.version("milestream"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # FastAPI's own pages load scripts from elsewhere; `operations` has pages that do not.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # Every request would look again for somebody who wants it; `metrics` is what is measured.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    guards: dict[str, problems.Guard] = {f"{path}/": reader for path in PATHS}
    guards |= {f"{pathways.PATH}/": pathways.reader}
    guards |= {
        "/schema/": require(Role.ADMIN),
        "/definitions/": require(Role.ADMIN, Role.ANALYST),
    }
    problems.install(app, guards)
    for error in (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        app.add_exception_handler(error, _on_database_away)
    app.add_middleware(Envelope, metrics=metrics, origins=settings.cors_origins)
    app.add_middleware(EventsFace)  # around the other, whose errors are to be this face's too
    app.add_middleware(GameMechanicsFace)
    app.add_middleware(pathways.PathwaysFace)
    for face in FACES:
        for route in face.router.routes:
            app.router.routes.append(route)
    return app


async def _on_database_away(request: Request, error: Exception) -> Response:
    """Answer 503 where the database is away, is too slow, or was not migrated yet."""
    logger.warning("the database does not answer: %s", error)
    detail = "The database does not answer now; try again."
    return problems.answer_to(request.scope, Problem(503, detail, headers={"retry-after": "5"}))

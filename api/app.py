"""The HTTP application: its faces, and what is around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI

from api import dashboard, definitions_face, operations, problems, resources
from api.access import require
from api.credentials import Role
from api.envelope import Envelope
from api.metrics import Metrics
from api.records import routes as records_face
from schemas.settings import Settings

DESCRIPTION = "Challenges, milestones and rewards, folded from what people do."


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
    )
    problems.install(app, guards={"/schema/": require(Role.ADMIN)})
    app.add_middleware(Envelope, metrics=metrics)
    for face in (operations, dashboard, definitions_face, records_face):
        for route in face.router.routes:
            app.router.routes.append(route)
    return app

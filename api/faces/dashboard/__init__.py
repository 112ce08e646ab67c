"""`/`: the dashboard of one project, and what each of its pages asks for.

A page is a file here, one in `api/queries/dashboard`, one in `api/pages/dashboard`, a line in
`_PAGES` and a line in `pages.js`.
"""

from fastapi import APIRouter

from api.faces.dashboard import (
    challenges,
    dead_letters,
    definitions,
    frame,
    live,
    members,
    pathways,
    points,
    recalculations,
    rewards,
    streaks,
)
from api.faces.dashboard.answers import TAG
from api.http.face import Chapter, Face

_PAGES = (
    frame,
    live,
    challenges,
    rewards,
    streaks,
    points,
    pathways,
    members,
    dead_letters,
    definitions,
    recalculations,
)

_router = APIRouter()
for _page in _PAGES:
    _router.routes.extend(_page.router.routes)

FACE = Face(_router, Chapter(TAG))

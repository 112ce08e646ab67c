"""The events and analytics face: `/event`, `/stats/event`, `/analytics/streak` and what is near."""

from api.faces.events.access import reader
from api.faces.events.face import PATHS, renderer, stripped
from api.faces.events.openapi import CHAPTER
from api.faces.events.routes import router
from api.http.face import Face

FACE = Face(router, CHAPTER, PATHS, guard=reader, path_of=stripped, renderer=renderer)

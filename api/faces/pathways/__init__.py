"""The pathway logs face: who did what at the activities of a pathway."""

from api.faces.pathways.face import PATH, path_of, reader, renderer
from api.faces.pathways.openapi import CHAPTER
from api.faces.pathways.routes import router
from api.http.face import Face

FACE = Face(router, CHAPTER, (PATH,), guard=reader, path_of=path_of, renderer=renderer)

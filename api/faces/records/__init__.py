"""The records face: `/schema/{slug}/record`."""

from api.auth.access import require
from api.auth.credentials import Role
from api.faces.records.openapi import CHAPTER
from api.faces.records.routes import router
from api.http.face import Face

FACE = Face(router, CHAPTER, ("/schema",), guard=require(Role.ADMIN))

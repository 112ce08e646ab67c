"""The game-mechanics face: `/gm.getActionsLog` and its family.

`api/README.md#the-game-mechanics-face` describes it.
"""

from api.faces.game_mechanics.face import path_of, renderer
from api.faces.game_mechanics.openapi import CHAPTER
from api.faces.game_mechanics.routes import router
from api.http.face import Face

FACE = Face(router, CHAPTER, path_of=path_of, renderer=renderer)

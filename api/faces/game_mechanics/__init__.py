"""The game-mechanics face: `/gm.getActionsLog` and its family.

`api/README.md#the-game-mechanics-face` describes it.
"""

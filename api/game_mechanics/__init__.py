"""The game-mechanics face: `/gm.getActionsLog` and its family (contract section 5, seed 003)."""

"""How much was voided of one thing: a log, an event, or an entry of the ledger. State, initial,
evolve, decide.

Portions are nanos (``schemas.amounts``): a billion is the whole.
"""

import msgspec

from processor.domain.inputs import Refused
from schemas.amounts import SCALE, format_amount
from schemas.dead_letter import Reason


class Voided(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All voids of one thing together: their portions, how many there were, and how many points
    they reversed (recovered or not)."""

    portion: int = 0
    times: int = 0
    points: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing of it is left."""
        return self.portion == SCALE


def initial() -> Voided:
    """Return what was voided of a thing that no command voided yet."""
    return Voided()


def evolve(before: Voided, portion: int, points: int = 0) -> Voided:
    """Return what is voided with one portion more, which reversed so many points."""
    return Voided(before.portion + portion, before.times + 1, before.points + points)


def decide(before: Voided, portion: int) -> None:
    """Check that so much of a thing can be voided still.

    Raises:
        Refused: together it would be more than there is.
    """
    if before.portion + portion > SCALE:
        left = format_amount(SCALE - before.portion)
        raise Refused(Reason.OVER_VOIDED, f"{left} of it is left to be voided", "portion")


def share(amount: int, portion: int) -> int:
    """Return a portion of an amount of nanos, or of points, to the nearest integer.

    Halves go away from zero, as ``ROUND_HALF_UP`` of decimals and ``round`` in SQL do. All portions
    of a thing are rounded together, never each: the whole is exactly the amount.
    """
    rounded = (2 * abs(amount) * portion + SCALE) // (2 * SCALE)
    return rounded if amount >= 0 else -rounded

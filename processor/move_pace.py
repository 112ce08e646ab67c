"""How fast test clocks move: they take a tenth of a worker's time while anything else is folded.

A move is done in pieces, one a tick. Where nothing else came of late, the next follows at once: who
tests alone waits for nobody. Where something did, the pieces of all partitions together leave so
much time to it that they take their share and no more.
"""

from collections.abc import Callable, Sequence

from processor.domain.fold import Part
from schemas.topics import TICKS

SHARE = 0.1
"""Of the time, while there is something else to do."""
ALONE_SECONDS = 1.0
"""A worker that folded nothing but ticks for so long has nothing else to do."""
DUE_SECONDS = 0.0005
"""What a due costs at most, folded and written, where it is folded among other records."""


class MovePace:
    """The pace of the moves of all partitions of a worker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` tells seconds."""
        self._clock = clock
        self._other_at = -ALONE_SECONDS
        """When something else was folded last."""
        self._free_at = 0.0
        """When all that moves took is a share of the time that has passed since they took it."""

    def done(self, piece: Sequence[Part], dues: int, seconds: float) -> None:
        """Learn from a piece of records, which took so many seconds and did so many dues of
        moves."""
        now = self._clock()
        only_ticks = all(part.topic == TICKS for part in piece)
        if not only_ticks:
            self._other_at = now
        if dues:
            took = seconds if only_ticks else min(seconds, dues * DUE_SECONDS)
            self._free_at = max(self._free_at, now - took) + took / SHARE

    def pause(self) -> float:
        """Return how many seconds the next piece of a move is to wait."""
        now = self._clock()
        if now - self._other_at >= ALONE_SECONDS:
            self._free_at = now
        return max(self._free_at - now, 0.0)

"""What the API processes of one port know of each other: which of them serve.

They share memory that was made before they were forked: for each, when its event loop last came
round.
"""

import mmap
import random
import time
from collections.abc import Sequence

SILENT_SECONDS = 10.0
"""A process whose event loop has stood still for so long does not serve."""

_NEVER = 0.0


class Siblings:
    """The `count` API processes of one port; `number` is this one's, from 0."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.number = 0
        self._first = random.randrange(1 << 16)  # noqa: S311
        self._beats = memoryview(mmap.mmap(-1, 8 * count)).cast("d")

    def beat(self) -> None:
        """Say that this process serves now."""
        self._beats[self.number] = time.monotonic()

    def forget(self, number: int) -> None:
        """Note that a process has ended: another one is to take its place."""
        self._beats[number] = _NEVER

    def has_served(self, number: int) -> bool:
        """Tell whether a process has begun to serve."""
        return self._beats[number] != _NEVER

    def silence(self, number: int) -> float:
        """Return for how many seconds a process has not said that it serves."""
        return time.monotonic() - self._beats[number]

    def silent(self) -> Sequence[int]:
        """Return the processes that do not serve: not yet, not any more, or not for a while."""
        return [
            number
            for number in range(self.count)
            if not self.has_served(number) or self.silence(number) > SILENT_SECONDS
        ]

    def share_of(self, places: int) -> int:
        """Return one of so many places, another one for each process as far as they suffice."""
        return (self._first + self.number) % places

"""How often a page that shows what happens now asks again: the more look, the more seldom each.

What all browsers ask together is bounded so, however many are open, and the calls of those who send
logs and events go on as fast as without them.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

SECONDS = 2.0
"""How long a page waits where few look."""
LONGEST_SECONDS = 30.0
ASKED_A_SECOND = 20
"""How often all pages together ask one process, where none waits for longer than the longest."""
FORGOTTEN_AFTER = 2.5
"""Waits after which who did not ask again has left."""
REMEMBERED = 4_096
"""Viewers, some 150 bytes each."""


class ViewingPace:
    """Who looks, and how long each is to wait. Belongs to one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is in seconds."""
        self._now = now
        self._seen: OrderedDict[int, float] = OrderedDict()
        """By viewer, when they asked last; the one who has been silent for longest is first."""

    def came(self, viewer: Hashable) -> None:
        """Note that somebody asks. The tabs of one browser are one viewer."""
        at = self._now()
        who = hash(viewer)  # a session's secret is not kept
        self._seen[who] = at
        self._seen.move_to_end(who)
        gone = at - FORGOTTEN_AFTER * self.seconds()
        while len(self._seen) > REMEMBERED or next(iter(self._seen.values())) < gone:
            self._seen.popitem(last=False)

    def seconds(self) -> float:
        """Return after how many seconds each viewer is to ask again."""
        return min(LONGEST_SECONDS, max(SECONDS, len(self._seen) / ASKED_A_SECOND))

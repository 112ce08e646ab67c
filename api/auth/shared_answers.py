"""Answers that everybody who looks at a project is given alike, made once a second at most.

A hundred browsers that show one page then cost no more than one.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from api.auth.shares import READER

SECONDS = 1.0
"""How long an answer is given again."""
KEPT = 64
"""How many answers are kept; those of a page have at most some ten thousand bytes."""


class _Kept(NamedTuple):
    made: "asyncio.Task[bytes]"
    since: float


class SharedAnswers:
    """The newest answers of one process, by project. Belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def get(self, project: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return a project's answer; `make` is called where there is none of this second.

        Raises what `make` raises.
        """
        kept = self._kept.get(project)
        if kept is None or (kept.made.done() and self._is_over(kept)):
            kept = _Kept(asyncio.create_task(self._made(make)), time.monotonic())
            self._kept[project] = kept
            self._kept.move_to_end(project)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return await asyncio.shield(kept.made)

    @staticmethod
    def _is_over(kept: _Kept) -> bool:
        failed = kept.made.cancelled() or kept.made.exception() is not None
        return failed or time.monotonic() - kept.since > SECONDS

    @staticmethod
    async def _made(make: Callable[[], Awaitable[bytes]]) -> bytes:
        # Others wait for it too, whether or not who asked first is still there.
        READER.set(replace(READER.get(), receive=None))
        return await make()

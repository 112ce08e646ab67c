"""A proxy that knows requests of the Kafka protocol, and breaks the line at a chosen one."""

import asyncio
import contextlib
import struct
from enum import Enum

from typing_extensions import override

from tests.faults.proxy import Proxy

PRODUCE, FIND_COORDINATOR, API_VERSIONS, INIT_PRODUCER_ID = 0, 10, 18, 22
ADD_PARTITIONS_TO_TXN, END_TXN = 24, 26


class Fate(Enum):
    """When the line breaks."""

    UNSENT = "before the broker has the request"
    UNANSWERED = "after the broker has served the request, before its answer comes"
    ANSWERED = "after the answer"


class RequestProxy(Proxy):
    """Carries frames, and breaks the line at the next request of a kind."""

    def __init__(self, behind: int) -> None:
        self.seen: list[int] = []
        """The kinds of all requests, in their order."""
        self._fates: dict[int, Fate] = {}
        super().__init__(behind)

    def at_next(self, kind: int, fate: Fate) -> None:
        """Break the line at the next request of a kind."""
        self._fates[kind] = fate

    @property
    def waits(self) -> bool:
        """Whether no such request came yet."""
        return bool(self._fates)

    @override
    async def _carry_both(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        fates: dict[int, Fate] = {}
        ways = [
            asyncio.create_task(self._requests(here[0], there[1], fates)),
            asyncio.create_task(self._answers(there[0], here[1], fates)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fates: dict[int, Fate]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                kind, _, correlation = struct.unpack(">hhi", frame[4:12])
                self.seen.append(kind)
                fate = self._fates.pop(kind, None)
                if fate is Fate.UNSENT:
                    return
                if fate is not None:
                    fates[correlation] = fate
                await self._pass_on(frame, writer)

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fates: dict[int, Fate]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                fate = fates.pop(int.from_bytes(frame[4:8], "big"), None)
                if fate is not Fate.UNANSWERED:
                    await self._pass_on(frame, writer)
                if fate is not None:
                    return

    async def _pass_on(self, frame: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(frame)
        await writer.drain()
        self.carried += len(frame)


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "big"))

"""Responses that are sent while they are made, piece by piece: none is ever in memory as a whole.

A piece is made when the one before it was taken. A response ends when the caller disconnects or
stops reading.
"""

import asyncio
import logging
from abc import abstractmethod

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.responses import MEDIA_TYPE

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
"""How long a caller may stop reading."""

PIECE_BYTES = 64 * 1024


class NotRead(Exception):
    """The caller reads no further."""


class Body:
    """A body in JSON that is sent in pieces of `PIECE_BYTES`; the first sends the head too."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._pieces: list[bytes] = []
        self._size = 0
        self._started = False

    async def put(self, piece: bytes) -> None:
        """Take a piece; wait where the caller is slow.

        Raises:
            NotRead: it has not read for `PATIENCE_SECONDS`.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= PIECE_BYTES:
            await self._flush(more=True)
            await asyncio.sleep(0)  # a caller that reads fast must not keep the others waiting

    async def end(self, piece: bytes) -> None:
        """Take the last piece; raises what `put` does."""
        self._pieces.append(piece)
        await self._flush(more=False)

    async def _flush(self, *, more: bool) -> None:
        body = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if not self._started:
            self._started = True
            headers = [(b"content-type", MEDIA_TYPE.encode())]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise NotRead from None


class StreamedResponse(Response):
    """A response in JSON that `write` makes."""

    def __init__(self) -> None:
        super().__init__(media_type=MEDIA_TYPE)

    @abstractmethod
    async def write(self, body: Body) -> None:
        """Put all of the response; what is raised before the first piece can still be answered."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stop where the caller leaves; raises what `write` does."""
        answering = asyncio.create_task(self.write(Body(send)))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            leaving.cancel()
            # Both end before the request, so that what they hold is given back by then.
            await asyncio.gather(answering, leaving, return_exceptions=True)
        if answering.cancelled():
            return
        try:
            answering.result()
        except NotRead:
            logger.warning("broken off: nothing was read for %.0f s", PATIENCE_SECONDS)


async def _left(receive: Receive) -> None:
    """Return when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass

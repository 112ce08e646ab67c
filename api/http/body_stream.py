"""Request bodies: limited in size, and decompressed where they are gzip."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope

from api.http.problems import REFUSAL, Problem

MAX_BODY_BYTES = 1024 * 1024
"""The limit of a body, compressed and decompressed."""
_MAX_DRAINED_BYTES = 16 * MAX_BODY_BYTES
_MAX_MEMBERS = 16
_GZIP = 31
"""zlib's code for gzip with the largest window."""


class BodyStream:
    """An ASGI `receive` that refuses a body over the limit, whether or not it states its length."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._scope = scope
        self._size = 0
        self._unpacked: _Unpacked | None = None
        self._began = False

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            Problem: 413, the body is too large; 415, its encoding is not known; 400, it is not what
                it says; or why the server reads no further.
        """
        if not self._began:
            self._began = True
            self._unpacked = _Unpacked() if _is_packed(self._scope["headers"]) else None
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        more = message.get("more_body", False)
        if more and (refusal := self._refusal()) is not None:
            raise refusal
        body = message.get("body", b"")
        self._size += len(body)
        try:
            if self._size > MAX_BODY_BYTES:
                raise too_large()
            if self._unpacked is not None:
                message = {**message, "body": self._unpacked.piece(body, more=more)}
        except Problem:
            if more:
                await self.drain()
            raise
        return message

    async def drain(self) -> None:
        """Read and discard for a while: most clients read no response while they still send."""
        drained = 0
        while drained < _MAX_DRAINED_BYTES and self._refusal() is None:
            message = await self._receive()
            drained += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return

    def _refusal(self) -> Problem | None:
        state: Mapping[str, Any] = self._scope.get("state") or {}
        return state.get(REFUSAL)


def _is_packed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a body is gzip.

    Raises:
        Problem: 415, it is something else.
    """
    named = b",".join(value for name, value in headers if name == b"content-encoding")
    encodings = [encoding.strip().lower() for encoding in named.split(b",")]
    encodings = [encoding for encoding in encodings if encoding not in (b"", b"identity")]
    if not encodings:
        return False
    if encodings in ([b"gzip"], [b"x-gzip"]):
        return True
    detail = "Content-Encoding: a body may be gzip, or as it is."
    raise Problem(415, detail, headers={"accept-encoding": "gzip"})


class _Unpacked:
    """A gzip body, decompressed piece by piece up to the limit."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self._left = MAX_BODY_BYTES
        self._began = False

    def piece(self, data: bytes, *, more: bool) -> bytes:
        """Return a decompressed piece.

        Raises:
            Problem: 413, together it is too much; 400, it is no gzip or ends too soon.
        """
        self._began = self._began or bool(data)
        pieces = []
        while data:
            if self._member.eof:
                self._begin_another()
            try:
                piece = self._member.decompress(data, self._left + 1)
            except zlib.error:
                raise _no_gzip() from None
            self._left -= len(piece)
            if self._left < 0:
                raise too_large()
            pieces.append(piece)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        if not more and self._began and not self._member.eof:
            raise _no_gzip()
        return b"".join(pieces)

    def _begin_another(self) -> None:
        if self._members == _MAX_MEMBERS:
            raise _no_gzip()
        self._members += 1
        self._member = zlib.decompressobj(_GZIP)


def _no_gzip() -> Problem:
    return Problem(400, "The body is not gzip, though it says so.", code="malformed")


def too_large() -> Problem:
    """Return the 413 of a body over the limit."""
    return Problem(
        413, f"A body may have at most {MAX_BODY_BYTES} bytes.", headers={"connection": "close"}
    )

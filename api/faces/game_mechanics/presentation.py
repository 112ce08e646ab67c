"""The presentation of responses: the envelope, JSON or JSONP, the HTTP status."""

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from fastapi import Response
from fastapi.responses import StreamingResponse
from msgspec import Raw

from api.faces.game_mechanics.errors import OK, CallError, bad, missing, status_of
from api.faces.game_mechanics.parameters import Parameters
from api.http import bodies
from api.http.problems import Problem

JSON = "application/json"
SCRIPT = "text/javascript; charset=utf-8"

_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_CALLBACK = re.compile(rf"{_NAME}(?:\.{_NAME})*")
_MAX_CALLBACK = 100
_MAX_FOR_GUESTS = 4096
"""Characters of a context that are parsed before the caller is authorized. A longer one is text
until then."""

_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
"""URLs of GETs contain credentials, so responses must not be cached under them."""

_ESCAPES = {
    b"<": b"\\u003c",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}
"""Characters with a meaning in scripts. In JSON they occur within texts only."""


@dataclass(frozen=True)
class Presentation:
    """The presentation that the caller requested.

    Attributes:
        callback: the function that a script calls with the answer; None: no script, but JSON.
        context: what the caller gets back unchanged, a text or ready JSON.
        http_status_codes: whether the HTTP status tells errors; it is 200 else.
    """

    callback: str | None = None
    context: Raw | str | None = None
    http_status_codes: bool = False

    def success(self, data: Mapping[str, object]) -> Response:
        """Return the answer of a call that went well."""
        return self._response(_encode({**data, **self._envelope(OK)}), 200)

    def stream(self, name: str, items: AsyncIterator[bytes]) -> Response:
        """Return an answer whose list `name` is too long to be held: pieces of JSON as they come.

        Each piece has one item or more, separated by commas.
        """

        async def pieces() -> AsyncIterator[bytes]:
            yield self._head() + b'{"' + name.encode() + b'":['
            first = True
            async for piece in items:
                yield self._escaped(piece if first else b"," + piece)
                first = False
            yield self._escaped(b"]," + _encode(self._envelope(OK))[1:]) + self._tail()

        return StreamingResponse(pieces(), media_type=self._media_type(), headers=_HEADERS)

    def failure(self, error: CallError, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer of a call that failed."""
        said = {"errorMessage": error.message, "errorDetails": error.details}
        status = error.http_status or (status_of(error.code) if self.http_status_codes else 200)
        content = _encode({**error.fields, **self._envelope(error.code, said)})
        return self._response(content, status, headers)

    def _envelope(self, code: int, said: Mapping[str, str] | None = None) -> dict[str, object]:
        status = status_of(code)
        echoed = {} if self.context is None else {"context": self.context}
        return {
            "statusCode": status,
            "errorCode": code,
            **(said or {}),
            "statusReason": HTTPStatus(status).phrase,
            "callId": uuid.uuid4().hex,
            "time": _milliseconds(datetime.now(UTC)),
            **echoed,
        }

    def _response(
        self, content: bytes, status: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        content = self._head() + self._escaped(content) + self._tail()
        return Response(
            content, status, media_type=self._media_type(), headers={**(headers or {}), **_HEADERS}
        )

    def _media_type(self) -> str:
        return JSON if self.callback is None else SCRIPT

    def _head(self) -> bytes:
        # The comment prevents the response from being sniffed as anything but a script.
        return b"" if self.callback is None else f"/**/{self.callback}(".encode()

    def _tail(self) -> bytes:
        return b"" if self.callback is None else b");"

    def _escaped(self, content: bytes) -> bytes:
        if self.callback is not None:
            for raw, escape in _ESCAPES.items():
                content = content.replace(raw, escape)
        return content


def presentation_of(parameters: Parameters) -> tuple[Presentation, CallError | None]:
    """Return the requested presentation, and what is wrong with the request for it.

    With an error, the presentation is the one to report it in.
    """
    presentation = Presentation()
    fault: CallError | None = None
    for step in (_with_status_codes, _with_context, _with_callback):
        try:
            presentation = step(presentation, parameters)
        except CallError as error:
            fault = fault or error
    return presentation, fault


def _with_status_codes(presentation: Presentation, parameters: Parameters) -> Presentation:
    return replace(presentation, http_status_codes=parameters.flag("httpStatusCodes"))


def _with_context(presentation: Presentation, parameters: Parameters) -> Presentation:
    text = parameters.values.get("context") or None
    if text is not None and len(text) > _MAX_FOR_GUESTS:
        return replace(presentation, context=text)
    return with_context(presentation, parameters)


def with_context(presentation: Presentation, parameters: Parameters) -> Presentation:
    """Return the presentation with the caller's context, of any length.

    Raises:
        CallError: it holds text that no JSON may.
    """
    return replace(presentation, context=_context(parameters.values.get("context") or None))


def _with_callback(presentation: Presentation, parameters: Parameters) -> Presentation:
    if parameters.choice("format", "json", "jsonp") == "json":
        return presentation
    callback = parameters.values.get("callback")
    if not callback:
        raise missing("callback")
    if len(callback) > _MAX_CALLBACK or not _CALLBACK.fullmatch(callback):
        raise bad("callback", f"must be names joined by dots, at most {_MAX_CALLBACK} characters")
    return replace(presentation, callback=callback)


def _context(text: str | None) -> Raw | str | None:
    """Return a JSON object or list as JSON, anything else as the text that it is."""
    if text is None or text.lstrip()[:1] not in ("{", "["):
        return text
    raw = text.strip().encode()
    try:
        bodies.check_text(raw)
        msgspec.json.decode(raw, type=Raw)  # validates without decoding
    except Problem as problem:
        raise bad("context", problem.detail) from None
    except (msgspec.DecodeError, RecursionError):
        return text
    return Raw(raw)


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def _milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

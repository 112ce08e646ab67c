"""Responses in JSON."""

from collections.abc import Mapping, Sequence

import msgspec
from fastapi import Response

MEDIA_TYPE = "application/json"

_JSON = msgspec.json.Encoder(decimal_format="number")


def encoded(body: object) -> bytes:
    """Return the JSON of a value; amounts are exact numbers."""
    return _JSON.encode(body)


def json_response(
    body: bytes | object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response; `body` is encoded unless it is bytes. Amounts are exact numbers."""
    content = body if isinstance(body, bytes) else encoded(body)
    return Response(content, status, headers=headers, media_type=MEDIA_TYPE)


def page_response(data: Sequence[str], paging: Mapping[str, int | None]) -> Response:
    """Return the response of a list; `data` is the JSON of each record."""
    return json_response(
        f'{{"data":[{",".join(data)}],"paging":{_JSON.encode(paging).decode()}}}'.encode()
    )


def pending(record_id: str, location: str) -> Response:
    """Return the 202 of a command whose reply did not come in time."""
    return json_response({"id": record_id}, 202, {"location": location})

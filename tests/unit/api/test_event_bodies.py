"""The body of `POST /event`: what is taken as it is, and how everything else is refused."""

import json
from typing import Any

import pytest
from fastapi import Request

from api.faces.events import bodies
from api.faces.events.bodies import EventBody, key_headers
from api.http.problems import Problem

GOOD = {"eventId": "purchase_completed", "userId": "user-123"}


async def parsed(body: bytes | dict[str, Any], *keys: str) -> EventBody:
    """Read a body, with these `Idempotency-Key` headers."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    headers = [(b"idempotency-key", key.encode("latin-1")) for key in keys]
    return await bodies.read(Request({"type": "http", "headers": headers}, receive), "acme")


async def refusal(body: bytes | dict[str, Any], *keys: str) -> str:
    with pytest.raises(Problem) as refused:
        await parsed(body, *keys)
    assert refused.value.status == 400
    return refused.value.detail


async def test_metadata_stays_the_callers_own_text() -> None:
    text = b'{ "amount": 49.990, "big": 1e400, "list": [1.10, {"x": null}] }'
    body = await parsed(b'{"eventId":"e","userId":"u","metadata":' + text + b"}")
    assert bytes(body.metadata) == text


async def test_metadata_may_be_left_out_or_null() -> None:
    for body in (GOOD, {**GOOD, "metadata": None}):
        assert bytes((await parsed(body)).metadata) == b""


async def test_a_key_is_minted_where_none_is_given() -> None:
    first, second = await parsed(GOOD), await parsed(GOOD)
    assert first.idempotency_key != second.idempotency_key
    assert len(first.idempotency_key or "") == 36


async def test_a_key_is_taken_from_the_field_or_the_header() -> None:
    assert (await parsed({**GOOD, "idempotencyKey": "k-1"})).idempotency_key == "k-1"
    assert (await parsed(GOOD, "k-1")).idempotency_key == "k-1"
    assert (await parsed({**GOOD, "idempotencyKey": "k-1"}, "k-1", "k-1")).idempotency_key == "k-1"


async def test_the_project_may_be_repeated() -> None:
    assert (await parsed({**GOOD, "project": "acme"})).event_id == "purchase_completed"
    assert (await refusal({**GOOD, "project": "other"})).startswith("project: ")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"eventId": ...}, "eventId: is required"),
        ({"userId": ...}, "userId: is required"),
        ({"eventId": ""}, "eventId: must not be empty"),
        ({"userId": ""}, "userId: must not be empty"),
        ({"eventId": 5}, "eventId: must be a string"),
        ({"userId": ["u"]}, "userId: must be a string"),
        ({"eventId": None}, "eventId: must be a string"),
        ({"userId": "u" * 257}, "userId: must have at most 256 characters"),
        ({"metadata": "x"}, "metadata: must be a JSON object"),
        ({"metadata": [1]}, "metadata: must be a JSON object"),
        ({"metadata": False}, "metadata: must be a JSON object"),
        ({"idempotencyKey": ""}, "idempotencyKey: must not be empty"),
        ({"idempotencyKey": 1}, "idempotencyKey: must be a string or null"),
        ({"colour": "red"}, "colour: is not a known field"),
        ({"ip": "10.0.0.1"}, "ip: is not a known field"),
        ({"withApiKey": True}, "withApiKey: is not a known field"),
        ({"userId": "a\x00b"}, "userId: must not contain U+0000"),
        ({"metadata": {"a": ["\x00"]}}, "metadata.a[0]: must not contain U+0000"),
        ({"metadata": {"a": "\ud800"}}, "metadata.a: must not contain a lone surrogate"),
        ({"metadata": {"\udc00": 1}}, "metadata.?: must not contain a lone surrogate"),
    ],
)
async def test_what_is_wrong_is_said_of_the_field(changes: dict[str, Any], detail: str) -> None:
    body = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    assert await refusal(body) == detail


@pytest.mark.parametrize("time", ["2025-08-01T10:00:00", "yesterday", "2025-08-01", 1754000000, ""])
async def test_a_time_has_an_offset(time: object) -> None:
    assert (await refusal({**GOOD, "occurredAt": time})).startswith("occurredAt: ")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"eventId=e&userId=u", b"NaN", b"\xff", json.dumps(GOOD).encode() + b"x",
    ],
)  # fmt: skip
async def test_what_is_no_json_is_refused(raw: bytes) -> None:
    detail = await refusal(raw)
    assert any(said in detail for said in ("not JSON", "no JSON", "not UTF-8")), detail


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null"])
async def test_the_body_is_an_object(raw: bytes) -> None:
    assert (await refusal(raw)).startswith("The body must be an object.")


async def test_a_bottomless_body_is_refused() -> None:
    deep = b"[" * 500_000
    raw = b'{"eventId":"e","userId":"u","metadata":{"a":' + deep + b"}}"
    assert "not JSON" in await refusal(raw) or "too deep" in await refusal(raw)


async def test_nothing_hides_at_the_bottom() -> None:
    """Two parsers look at a body; what is too deep for the one must not pass the other."""
    for depth in range(850, 1050, 7):
        value = b"[" * depth + b'"\\u0000"' + b"]" * depth
        await refusal(b'{"eventId":"e","userId":"u","metadata":{"a":' + value + b"}}")


async def test_keys_must_agree_and_be_printable() -> None:
    differs = "idempotencyKey: must equal the Idempotency-Key header where both are given"
    assert await refusal({**GOOD, "idempotencyKey": "k-1"}, "k-2") == differs
    assert await refusal(GOOD, "k-1", "k-2") == differs
    for key in ("", " ", "ü", "a\tb", "x" * 513):
        assert (await refusal(GOOD, key)).startswith("Idempotency-Key: ")


@pytest.mark.parametrize(
    ("header", "key"),
    [('"k 1"', "k 1"), ('"a\\"b\\\\c"', 'a"b\\c'), ('"', '"'), ('"a"b"', '"a"b"'), ("k", "k")],
)
async def test_a_key_in_quotes_is_the_same_key(header: str, key: str) -> None:
    body = await parsed(json.dumps({**GOOD, "idempotencyKey": key}).encode(), header)
    assert body.idempotency_key == key


def test_a_key_that_no_header_can_carry_is_not_answered_in_one() -> None:
    assert key_headers("k 1") == {"Idempotency-Key": "k 1"}
    for key in (None, "", "a\r\nset-cookie: x", "ключ", " k", "😀"):
        assert key_headers(key) == {}

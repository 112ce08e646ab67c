"""Responses that are sent while they are made."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from api.http import streaming


async def test_a_body_is_sent_in_pieces_worth_sending_and_not_kept_for_one_who_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 4:
            await asyncio.Event().wait()

    body = streaming.Body(send)
    for _ in range(100):
        await body.put(b"x" * 1000)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert len(sent[1]["body"]) == 66_000
    await body.put(b"y" * 70_000)
    monkeypatch.setattr(streaming, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(streaming.NotRead):
        await body.end(b"z")


PUT_AT_ONCE = 7
"""Numbers, until a piece is worth sending."""


class Numbers(streaming.StreamedResponse):
    """A list of long numbers; `made` is how many of them were."""

    made = 0

    async def write(self, body: streaming.Body) -> None:
        """Write all of them."""
        await body.put(b"[0")
        for self.made in range(1, 1001):
            await body.put(b"," + b"1" * 10_000)
        await body.end(b"]")


async def test_what_the_caller_does_not_take_is_not_made() -> None:
    numbers, full = Numbers(), asyncio.Event()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            full.set()
            await asyncio.Event().wait()

    async def receive() -> MutableMapping[str, Any]:
        await full.wait()
        return {"type": "http.disconnect"}

    await numbers({"type": "http"}, receive, send)
    assert numbers.made == PUT_AT_ONCE


async def test_a_caller_that_reads_fast_leaves_others_their_turn() -> None:
    numbers, turns = Numbers(), 0

    async def send(message: MutableMapping[str, Any]) -> None:
        pass

    async def receive() -> MutableMapping[str, Any]:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    await numbers({"type": "http"}, receive, send)
    assert numbers.made == 1000
    assert turns >= numbers.made // PUT_AT_ONCE

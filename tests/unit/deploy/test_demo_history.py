"""The demo's history is through when all of it is sent, folded and shown; a bar tells how far."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from deploy import demo_history
from deploy.demo import HISTORY_DAYS
from deploy.demo_history import wait_for_history
from schemas.settings import Settings

PLACE = TopicPartition("events", 0)


async def test_what_runs_is_said_to_run_when_all_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folded: list[int | None] = [0, 5, None, 9]  # the last offset is a transaction's marker
    shown: list[int | None] = [3, 10]

    @asynccontextmanager
    async def admin(_settings: Settings) -> AsyncIterator[None]:
        yield None

    async def days(_settings: Settings) -> AsyncIterator[int]:
        for sent in (0, HISTORY_DAYS):
            yield sent

    async def ends(*_: object) -> Mapping[TopicPartition, int]:
        return {PLACE: 10}

    def answers(offset: int | None) -> Mapping[TopicPartition, int]:
        if offset is None:
            raise KafkaConnectionError("it is asked again")
        return {PLACE: offset}

    async def are_folded(*_: object) -> Mapping[TopicPartition, int]:
        return answers(folded.pop(0))

    async def are_shown(*_: object) -> Mapping[TopicPartition, int]:
        return answers(shown.pop(0))

    monkeypatch.setattr(demo_history, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(demo_history, "admin_client", admin)
    monkeypatch.setattr(demo_history, "_days_sent", days)
    monkeypatch.setattr(demo_history, "ends_of", ends)
    monkeypatch.setattr(demo_history, "folded", are_folded)
    monkeypatch.setattr(demo_history, "projected", are_shown)
    told: list[tuple[str, int, int]] = []
    assert await wait_for_history(Settings(), lambda *said: told.append(said), lambda: None)
    assert told == [
        ("sending", 0, HISTORY_DAYS), ("sending", HISTORY_DAYS, HISTORY_DAYS),
        ("folding", 0, 10), ("folding", 5, 10), ("folding", 9, 10),
        ("showing", 3, 10), ("showing", 10, 10),
    ]  # fmt: skip

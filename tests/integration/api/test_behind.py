"""Writes while the read models are behind: nobody is told that something is not there."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import (
    EVENT_RESULTS,
    MEMBER_EVENTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    REWARD_EVENTS,
)
from tests.integration.api.game_mechanics import caller
from tests.integration.api.serving import Served, served
from tests.stack import FreshSettings

FED = (EVENT_RESULTS, MEMBER_EVENTS, POINTS_EVENTS, PROGRESS_EVENTS, REWARD_EVENTS)


@pytest.fixture
def api(fresh_settings: FreshSettings, tmp_path: Path) -> Iterator[Served]:
    """An API whose read models nobody fills."""
    with served(fresh_settings, log=tmp_path) as made:
        yield made


async def test_what_may_yet_be_there_is_not_refused_as_unknown(api: Served) -> None:
    id_, void = uuid.uuid4(), {"reason": "sent back", "uniqueIdentifier": "void-1"}
    writes = (
        ("POST", f"/schema/challenge_log/record/{id_}/void", void),
        ("POST", f"/event/{id_}/void", void),
        ("PATCH", f"/schema/reward_log/record/{id_}", {"couponCode": "C-1"}),
        ("PATCH", f"/schema/member/record/{id_}", {"city": "Graz"}),
        ("DELETE", f"/schema/member/record/{id_}", None),
    )
    async with await api.client() as admin:
        for method, path, body in writes:
            answer = await admin.request(method, path, json=body)
            assert answer.status_code == 404, "they are up to date: nothing was published"
        await publish(api)
        for method, path, body in writes:
            answer = await admin.request(method, path, json=body)
            assert answer.status_code == 503, (path, answer.text)
            assert answer.headers["retry-after"] == "5"
    call = await caller(api)
    async with call.client:
        answered = await call("redeemPoints", UID="ann", points=1, challenge="shoes")
        assert answered["errorCode"] == 100001, "the processor is to judge, and none runs here"


async def publish(api: Served) -> None:
    """Write something to each topic that the tables are made from."""
    settings = api.settings
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        for topic in FED:
            # A topic that is compacted takes no record without a key.
            await producer.send_and_wait(settings.topic(topic), b"{}", key=b"any")

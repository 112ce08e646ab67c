"""The Python client's publisher: what it sends again, and what it leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord
from milestream_client import (
    ActivityLog,
    DeleteMember,
    Refused,
    SpendPoints,
    Unanswered,
    answers,
    kafka,
    publishing,
)
from milestream_client.publishing import AsyncPublisher

SPENT = {"userId": "joe", "uniqueIdentifier": "s", "challengeGroup": "_default", "points": 3,
         "balance": 7, "held": 0, "available": 7}  # fmt: skip
Headers = Sequence[tuple[str, bytes]]


class Broker:
    """What was sent, and readers of replies; the request with the number `answers` has a reply."""

    def __init__(self, answers: int | None = None, status: int = 200) -> None:
        self.sent: list[bytes] = []
        self.has_one = asyncio.Event()
        self.readers: list[Reader] = []
        self._answers, self._status = answers, status
        self.answered: Callable[[], None] = lambda: None

    def producer(self, **_: Any) -> "Broker":
        """Return itself, as a producer."""
        return self

    def reader(self, **_: Any) -> "Reader":
        """Return a new reader of the replies."""
        self.readers.append(Reader())
        return self.readers[-1]

    async def start(self) -> None:
        """Connect."""

    stop = start

    async def partitions_for(self, _: str) -> set[int]:
        """Return the partitions of the replies."""
        return {0}

    async def send_and_wait(self, _: str, value: bytes, __: bytes, headers: Headers) -> None:
        """Take a record."""
        self.sent.append(value)
        self.has_one.set()
        if len(self.sent) == self._answers:
            self.answered()
            self.readers[-1].replies.put_nowait(_reply(headers, self._status))


def _reply(headers: Headers, status: int) -> "ConsumerRecord[Any, Any]":
    correlation_id = kafka.header(headers, kafka.CORRELATION_ID) or b""
    value = msgspec.json.encode({"status": status, "body": SPENT})
    given = {"headers": [(kafka.CORRELATION_ID, correlation_id)], "value": value}
    names = ConsumerRecord.__dataclass_fields__
    return ConsumerRecord(**{**dict.fromkeys(names), **given})


class Reader:
    """Reads replies until there comes a None."""

    def __init__(self) -> None:
        self.replies: asyncio.Queue[ConsumerRecord[Any, Any] | None] = asyncio.Queue()
        self.stopped = False

    async def start(self) -> None:
        """Connect."""

    def assign(self, _: Any) -> None:
        """Read from there."""

    async def seek_to_end(self, _: Any) -> None:
        """Begin at the end."""

    position = seek_to_end

    async def stop(self) -> None:
        """Disconnect."""
        self.stopped = True

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (reply := await self.replies.get()) is not None:
            yield reply


def use(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let publishers be connected to it: they send again at once, until it has answered."""

    def be_patient() -> None:
        monkeypatch.setattr(publishing, "ASK_SECONDS", 30.0)

    broker.answered = be_patient
    monkeypatch.setattr(publishing, "AIOKafkaProducer", broker.producer)
    monkeypatch.setattr(publishing, "AIOKafkaConsumer", broker.reader)
    monkeypatch.setattr(publishing, "ASK_SECONDS", 0.0)


async def ended(broker: Broker, publisher: AsyncPublisher) -> Unanswered:
    """Delete a member, and return what it comes to where the replies end after a while."""
    broker.has_one.clear()
    asked = asyncio.create_task(publisher.request(DeleteMember(user_id="joe")))
    await broker.has_one.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    broker.readers[-1].replies.put_nowait(None)
    with pytest.raises(Unanswered, match="read no more") as told:
        await asked
    return told.value


async def test_what_has_an_identity_is_sent_until_there_is_a_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker(answers=3)
    use(broker, monkeypatch)
    async with AsyncPublisher("k") as publisher:
        answer = await publisher.request(SpendPoints(user_id="joe", points=3))
    assert answer.record.available == 7
    assert (len(broker.sent), len(set(broker.sent))) == (3, 1)


@pytest.mark.parametrize(("tries", "taken"), [(1, False), (2, None)])
async def test_a_refusal_says_whether_an_earlier_try_may_count(
    tries: int, taken: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker(answers=tries, status=409)
    use(broker, monkeypatch)
    async with AsyncPublisher("k") as publisher:
        with pytest.raises(Refused) as refused:
            await publisher.request(SpendPoints(user_id="joe", points=3))
    assert refused.value.taken is taken


def test_a_repeated_activity_log_is_a_duplicate() -> None:
    log = ActivityLog(
        pathway_id="p",
        activity_id="a",
        user_id="joe",
        occurred_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    with pytest.raises(Refused) as refused:
        answers.read(log, 409, b'{"code":"duplicate","message":"was logged"}')
    assert refused.value.code == "duplicate"


async def test_a_command_without_identity_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    use(broker, monkeypatch)
    async with AsyncPublisher("k") as publisher:
        assert (await ended(broker, publisher)).taken is None
    assert len(broker.sent) == 1


async def test_a_reader_of_replies_that_ended_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()
    use(broker, monkeypatch)
    async with AsyncPublisher("k") as publisher:
        await ended(broker, publisher)
        await ended(broker, publisher)
        assert [reader.stopped for reader in broker.readers] == [True, False]
    assert [reader.stopped for reader in broker.readers] == [True, True]

"""Publishing over Kafka, with and without a reply: `AsyncPublisher`, and `Publisher` that waits."""

import asyncio
import itertools
import random
import threading
import uuid
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from milestream_client import answers, kafka, writes
from milestream_client.answers import Answer, Misunderstood
from milestream_client.errors import MilestreamError, Refused, Unanswered
from milestream_client.writes import Write

A = TypeVar("A")
R = TypeVar("R")

DEADLINE_SECONDS = 30.0
ASK_SECONDS = 10.0
"""After so long without a reply, each time, a request is sent again where it has an identity: its
worker may have lost it."""


class Placed(msgspec.Struct, frozen=True):
    """Where a record was written."""

    topic: str
    partition: int
    offset: int


class _Reply(msgspec.Struct):
    status: int
    body: msgspec.Raw


class AsyncPublisher:
    """Publishes writes to the input topics, keyed by their members.

    `async with AsyncPublisher("127.0.0.1:9092") as publisher: await publisher.publish(…)`
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic_prefix: str = "",
        deadline: float = DEADLINE_SECONDS,
        **options: Any,
    ) -> None:
        """Take where the brokers are, and further options of aiokafka's, of its login for one.

        Args:
            deadline: in seconds: how long a call may take, all its tries together.
        """
        self._connection = {"bootstrap_servers": bootstrap_servers, **options}
        self._prefix = topic_prefix
        self._deadline = deadline
        self._producer = AIOKafkaProducer(**self._connection, acks="all", enable_idempotence=True)
        self._replies: _Replies | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what is left, and disconnect."""
        try:
            await self._producer.stop()
        finally:
            if self._replies is not None:
                await self._replies.stop()

    async def publish(self, write: Write[Any], *, deadline: float | None = None) -> Placed:
        """Publish a write and return once the brokers have it; what it leads to is on the output
        topics. To publish the same object again counts it once where it has an identity.

        Raises:
            InvalidWrite: it was not published.
            Unanswered: the brokers did not say in time that they have it.
        """
        value, key = writes.encoded(write), write.member().encode()
        topic = self._prefix + write.topic
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                written = await self._producer.send_and_wait(topic, value, key)
        except (KafkaError, TimeoutError) as error:
            raise Unanswered(_why(error), taken=None) from error
        return Placed(written.topic, written.partition, written.offset)

    async def request(
        self,
        write: Write[A],
        *,
        deadline: float | None = None,
        dry_run: bool = False,
        trace: bool = False,
    ) -> Answer[A]:
        """Publish a write, and return what it led to; what has an identity is counted once.

        Raises:
            InvalidWrite: it was not published.
            Refused: it changed nothing, where it was sent once; see `Refused.taken`. What is not
                valid is a dead letter, unless it was a dry run.
            Unanswered: no reply came in time; nobody knows whether it counts (`taken` is None).
        """
        value, key = writes.encoded(write), write.member().encode()
        again = dry_run or write.may_repeat()
        try:
            async with asyncio.timeout(self._deadline if deadline is None else deadline):
                replies = await self._started()
                asked = replies.headers(write.topic, dry_run=dry_run, trace=trace)
                topic = self._prefix + (kafka.DRY_RUNS if dry_run else write.topic)
                reply, tries = await self._answered(replies, topic, key, value, asked, again=again)
        except (KafkaError, TimeoutError) as error:
            raise Unanswered(_why(error), taken=None) from error
        try:
            return answers.read(write, reply.status, bytes(reply.body))
        except Refused as refused:
            refused.taken = False if dry_run or tries == 1 else None
            raise

    async def _answered(
        self,
        replies: "_Replies",
        topic: str,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
        *,
        again: bool,
    ) -> tuple[_Reply, int]:
        """Send until a reply comes; one correlation id, so that the first reply counts.

        Returns:
            The reply, and how often it was sent.
        """
        with replies.awaited(headers) as reply:
            for tries in itertools.count(1):
                await self._producer.send_and_wait(topic, value, key, headers=headers)
                seconds = ASK_SECONDS if again else None
                done, _ = await asyncio.wait({reply}, timeout=seconds)
                if done:
                    return reply.result(), tries
        raise AssertionError("counting does not end")

    async def _started(self) -> "_Replies":
        async with self._starting:
            if self._replies is not None and self._replies.has_ended():
                ended, self._replies = self._replies, None
                await ended.stop()  # it would go on fetching what nobody reads
            if self._replies is None:
                count = len(await self._producer.partitions_for(self._prefix + kafka.REPLIES))
                place = TopicPartition(self._prefix + kafka.REPLIES, random.randrange(count))  # noqa: S311  # any will do
                replies = _Replies(self._connection, place)
                await replies.start()
                self._replies = replies
            return self._replies


class _Awaited:
    """A reply that is waited for, as long as the context lasts."""

    def __init__(
        self, waiting: dict[bytes, "asyncio.Future[_Reply]"], correlation_id: bytes
    ) -> None:
        self._waiting, self._id = waiting, correlation_id

    def __enter__(self) -> "asyncio.Future[_Reply]":
        reply = asyncio.get_running_loop().create_future()
        self._waiting[self._id] = reply
        return reply

    def __exit__(self, *_: object) -> None:
        reply = self._waiting.pop(self._id, None)
        if reply is not None and not reply.done():
            reply.cancel()


class _Replies:
    """Reads one partition of the replies, from its end on, and hands each to who asked."""

    def __init__(self, connection: dict[str, Any], place: TopicPartition) -> None:
        self._place = place
        self._waiting: dict[bytes, asyncio.Future[_Reply]] = {}
        self._consumer = AIOKafkaConsumer(
            **connection,
            isolation_level="read_committed",
            auto_offset_reset="latest",
            enable_auto_commit=False,
        )
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Seek to the end before anything is asked."""
        try:
            await self._consumer.start()
            self._consumer.assign([self._place])
            await self._consumer.seek_to_end(self._place)
            await self._consumer.position(self._place)
        except BaseException:
            await self._consumer.stop()
            raise
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._consumer.stop()

    def has_ended(self) -> bool:
        """Tell whether it reads no more."""
        return self._reading is None or self._reading.done()

    def headers(self, topic: str, *, dry_run: bool, trace: bool) -> list[tuple[str, bytes]]:
        """Return the headers of a request whose reply comes here."""
        asked = [
            (kafka.REPLY_TOPIC, self._place.topic.encode()),
            (kafka.REPLY_PARTITION, self._place.partition.to_bytes(4, "big")),
            (kafka.CORRELATION_ID, uuid.uuid4().bytes),
        ]
        if dry_run:
            asked += [(kafka.DRY_RUN, b"true"), (kafka.WOULD_GO_TO, topic.encode())]
        if trace:
            asked.append((kafka.TRACE, b"true"))
        return asked

    def awaited(self, headers: kafka.Headers) -> _Awaited:
        """Return a context in which the reply to a request is waited for."""
        return _Awaited(self._waiting, kafka.header(headers, kafka.CORRELATION_ID) or b"")

    async def _read(self) -> None:
        async for record in self._consumer:
            correlation_id = kafka.header(record.headers, kafka.CORRELATION_ID)
            reply = self._waiting.get(correlation_id or b"")
            if reply is None or reply.done():
                continue  # somebody else's
            try:
                reply.set_result(msgspec.json.decode(record.value, type=_Reply))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                reply.set_exception(Misunderstood(f"a reply: {error}"))

    def _ended(self, reading: "asyncio.Task[None]") -> None:
        error = None if reading.cancelled() else reading.exception()
        why = "replies are read no more" + (f": {error}" if error else "")
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(Unanswered(why, taken=None))


class Publisher:
    """Publishes writes; like `AsyncPublisher`, for programs that wait. Threads may share it.

    It runs an event loop in a thread of its own.
    """

    def __init__(self, bootstrap_servers: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="milestream-publisher", daemon=True
        )
        self._given = (bootstrap_servers, options)
        self._publisher: AsyncPublisher | None = None

    __init__.__doc__ = AsyncPublisher.__init__.__doc__

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._publisher = self._run(self._opened())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Send what is left, and disconnect."""
        try:
            self._run(self._there().close())
        finally:
            self._end()

    def publish(self, write: Write[Any], *, deadline: float | None = None) -> Placed:
        """See `AsyncPublisher.publish`."""
        return self._run(self._there().publish(write, deadline=deadline))

    def request(
        self,
        write: Write[A],
        *,
        deadline: float | None = None,
        dry_run: bool = False,
        trace: bool = False,
    ) -> Answer[A]:
        """See `AsyncPublisher.request`."""
        asked = self._there().request(write, deadline=deadline, dry_run=dry_run, trace=trace)
        return self._run(asked)

    async def _opened(self) -> AsyncPublisher:
        servers, options = self._given
        publisher = AsyncPublisher(servers, **options)
        return await publisher.__aenter__()

    def _there(self) -> AsyncPublisher:
        if self._publisher is None:
            raise MilestreamError("use it as a context: with Publisher(…) as publisher")
        return self._publisher

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _why(error: BaseException) -> str:
    return "the deadline passed" if isinstance(error, TimeoutError) else f"Kafka: {error}"

"""Request and reply over Kafka: sends a command and waits for the processor's reply.

Each API process reads one partition of `replies`, assigned by hand, from its end. Processes may
share a partition: each takes the replies with its own correlation ids.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from api.http.dry_runs import FOR_REAL, Asked
from api.http.problems import Problem
from api.kafka import clients
from api.metrics import Metrics
from schemas import dry_runs
from schemas.kafka.health import consumer_fault
from schemas.process_logging import CORRELATION_ID
from schemas.replies import Refusal, Reply, correlation_id_of, headers_for
from schemas.settings import Settings
from schemas.topics import DRY_RUNS, REPLIES, partition_for
from schemas.tracing import HEADER, Tracing

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
MOST_WAITING = 4096
MOST_WAITING_BYTES = 64 * 1024 * 1024
"""How many requests, and bytes of them, may wait for the processor; further ones are refused at
once."""

BROKER_AWAY = "The broker takes nothing now; try again."
BEHIND = "The tables are not up to date; try again."

_REPLY = msgspec.json.Decoder(Reply)
_REFUSAL = msgspec.json.Decoder(Refusal)


NOT_TRIED = "No answer came in time, and nothing was changed; try again."


class ProcessorClient:
    """Sends commands to the processor, and returns its replies."""

    def __init__(
        self,
        settings: Settings,
        producer: AIOKafkaProducer,
        metrics: Metrics,
        choose: Callable[[int], int] = random.randrange,
        tracing: Tracing | None = None,
    ) -> None:
        """`choose` returns the partition of `replies` to read, given how many there are."""
        self._settings = settings
        self._producer = producer
        self._metrics = metrics
        self._tracing = tracing
        self._consumer = clients.consumer(settings)
        count = clients.partition_count(settings, REPLIES)
        self._partition = TopicPartition(settings.topic(REPLIES), choose(count))
        self._waiting: dict[bytes, asyncio.Future[Reply]] = {}
        self._waiting_bytes = 0

    async def start(self) -> None:
        """Connect, and seek to the end of the replies before any request is sent."""
        await self._consumer.start()
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_end(self._partition)

    async def stop(self) -> None:
        """Disconnect; waiting requests time out."""
        await self._consumer.stop()

    def fault(self) -> str | None:
        """Return why the consumer of replies has failed; None where it works."""
        return consumer_fault(self._consumer)

    async def run(self) -> None:
        """Hand out replies until cancelled.

        Replies are kept for an hour; after a longer interruption the consumer continues at their
        end.
        """
        while True:
            try:
                batches = await self._consumer.getmany(timeout_ms=1000)
            except KafkaError as error:
                logger.warning("cannot read replies: %s", error)
                await asyncio.sleep(0.5)
                continue
            for record in batches.get(self._partition, ()):
                self._hand_out(record)

    def _hand_out(self, record: "ConsumerRecord[Any, Any]") -> None:
        waiting = self._waiting.get(correlation_id_of(record.headers) or b"")
        if waiting is None or waiting.done():
            self._metrics.stray_replies.inc()
            return
        try:
            waiting.set_result(_REPLY.decode(record.value))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            waiting.set_exception(error)

    async def send(
        self, topic: str, member_id: str, value: bytes, asked: Asked = FOR_REAL
    ) -> Reply | None:
        """Produce a command about a member; return the reply, None where none comes in time.

        Raises:
            Problem: 503, the broker does not take the command. It may have taken it all the same,
                so repeating it must be safe, and is. Or too many requests wait for the processor:
                then it was not sent. Or no reply to a dry run comes in time.
        """
        if (
            len(self._waiting) >= MOST_WAITING
            or self._waiting_bytes + len(value) > MOST_WAITING_BYTES
        ):
            self._metrics.shed.labels(topic).inc()
            raise unavailable("Too many requests wait for the processor; try again.")
        correlation_id = uuid.uuid4().bytes
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = waiting
        self._waiting_bytes += len(value)
        began = time.perf_counter()
        logged_under = CORRELATION_ID.set(correlation_id)
        try:
            await self._produce(topic, member_id, value, correlation_id, asked)
            left = TIMEOUT_SECONDS - (time.perf_counter() - began)
            async with asyncio.timeout(max(0.0, left)):
                reply = await waiting
        except TimeoutError:
            self._metrics.reply_timeouts.labels(topic).inc()
            logger.debug("no reply in time to a record on %s", topic)
            if asked.dry_run:
                raise unavailable(NOT_TRIED) from None
            return None
        finally:
            CORRELATION_ID.reset(logged_under)
            del self._waiting[correlation_id]
            self._waiting_bytes -= len(value)
        self._metrics.reply_seconds.labels(topic).observe(time.perf_counter() - began)
        return reply

    async def _produce(
        self, topic: str, member_id: str, value: bytes, correlation_id: bytes, asked: Asked
    ) -> None:
        headers = headers_for(self._partition.topic, self._partition.partition, correlation_id)
        if asked.trace:
            headers.append(dry_runs.TRACED)
        if asked.dry_run:
            headers += dry_runs.headers_for(topic)
            topic = DRY_RUNS
        if self._tracing is None:
            await self._write(topic, member_id, value, headers)
            return
        with self._tracing.sending(topic) as parent:
            await self._write(topic, member_id, value, [*headers, (HEADER, parent)])

    async def _write(
        self, topic: str, member_id: str, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        partition = partition_for(member_id, self._settings.partitions)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._producer.send_and_wait(
                    self._settings.topic(topic),
                    value,
                    key=member_id.encode(),
                    partition=partition,
                    headers=headers,
                )
        except (KafkaError, TimeoutError) as error:
            logger.warning("cannot produce to %s: %s", topic, str(error) or type(error).__name__)
            raise unavailable() from error


def unavailable(detail: str = BROKER_AWAY) -> Problem:
    """Return a 503 with `Retry-After`."""
    return Problem(503, detail, headers={"retry-after": "5"})


def refusal(reply: Reply) -> Problem:
    """Return the problem of a refusing reply."""
    refused = _REFUSAL.decode(reply.body)
    named = "".join(f"{error.field}: " for error in refused.errors[:1])
    asked = {"asked": refused.asked, "available": refused.available}
    return Problem(
        reply.status,
        named + refused.message,
        code=refused.code,
        errors=[(error.field, error.message) for error in refused.errors],
        record=refused.record if bytes(refused.record) else None,
        more={} if refused.asked is None else asked,
        tried=_tried(refused),
    )


def _tried(refused: Refusal) -> dict[str, object]:
    """Return what a dry run, and a trace, add to a refusal."""
    added: dict[str, object] = {}
    if bytes(refused.trace):
        added["trace"] = refused.trace
    if refused.dry_run:
        added["dryRun"] = True
    return added

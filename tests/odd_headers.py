"""Records whose header names are no UTF-8, as clients write that take such names as bytes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from schemas.settings import Settings
from schemas.topics import TOPICS, Partitioning

OddRecord = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers."""


class NoText(str):
    """A header name that goes onto the wire as the bytes ``ff fe``."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return bytes that are no UTF-8, whatever is asked for."""
        del encoding, errors
        return b"\xff\xfe"


async def send_odd(
    settings: Settings, topic: str, records: Sequence[OddRecord], partition: int, **options: Any
) -> None:
    """Produce records, some of them with ``NoText`` names, in one batch."""
    with pytest.MonkeyPatch.context() as patched:
        # aiokafka's compiled builder takes the text itself and not what `encode` says.
        patched.setattr(
            message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy
        )
        async with AIOKafkaProducer(**settings.kafka_options(), **options) as producer:
            batch = producer.create_batch()
            for key, value, headers in records:
                batch.append(key=key, value=value, timestamp=None, headers=headers)
            await (await producer.send_batch(batch, settings.topic(topic), partition=partition))


async def poison(settings: Settings, *topics: str) -> None:
    """Put one such record onto every partition of these topics of the catalogue.

    Key and value are those of an event's definition that is taken back, which nobody minds.
    """
    record: OddRecord = (b"default/event/x", None, [(NoText("odd"), b"v")])
    places = [
        (topic, partition) for topic in topics for partition in range(_partitions(settings, topic))
    ]
    await asyncio.gather(*(send_odd(settings, topic, [record], p) for topic, p in places))


def _partitions(settings: Settings, topic: str) -> int:
    keyed = TOPICS[topic].partitioning is Partitioning.MEMBER
    return settings.partitions if keyed else 1

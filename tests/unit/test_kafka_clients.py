"""What our Kafka clients can that aiokafka's own cannot, from the moment that one is made."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords

from api.kafka import clients
from schemas.kafka import consumers
from schemas.settings import Settings
from tests.odd_headers import NoText


def batch(*names: str) -> bytes:
    """A batch as a broker sends it: a record for each name of a header."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=0, batch_size=10_000,
    )  # fmt: skip
    for offset, name in enumerate(names):
        builder.append(offset, timestamp=1, key=b"k", value=b"v", headers=[(name, b"h")])
    return bytes(builder.build())


async def test_a_consumer_reads_header_names_that_are_no_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    await consumers.consumer(Settings(), group_id=None).stop()
    read = fetcher.MemoryRecords(batch("plain", NoText("odd"), "last")).next_batch()
    names = [name for record in read for name, _ in record.headers]
    assert names == ["plain", "\udcff\udcfe", "last"]


async def test_a_producer_s_numbers_begin_again_after_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """aiokafka goes on at -2^31, which a broker refuses."""
    monkeypatch.setattr(TransactionManager, "increment_sequence_number", None)
    await clients.producer(Settings()).stop()
    manager: Any = SimpleNamespace(_sequence_numbers={"place": 2**31 - 2})
    TransactionManager.increment_sequence_number(manager, "place", 1)
    assert manager._sequence_numbers["place"] == 2**31 - 1
    TransactionManager.increment_sequence_number(manager, "place", 3)
    assert manager._sequence_numbers["place"] == 2

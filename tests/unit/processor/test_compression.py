"""Producers of a worker compress at the level that was measured."""

import cramjam
import pytest
from aiokafka.codec import zstd_encode
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as compiled_records

from processor import compression

HEADER_BYTES = 61
ZSTD = 4


def test_a_batch_is_compressed_at_level_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compiled_records, default_records):
        monkeypatch.setattr(module, "zstd_encode", zstd_encode)  # put back after the test
    plain, packed = (_batch(codec) for codec in (0, ZSTD))
    assert packed != bytes(cramjam.zstd.compress(plain, level=compression.LEVEL))
    compression.install()
    assert _batch(ZSTD) == bytes(cramjam.zstd.compress(plain, level=compression.LEVEL))


def _batch(codec: int) -> bytes:
    builder = default_records.DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number in range(500):
        value = b'{"id":"%x","n":%d,"text":"the same in each"}' % (number * 2654435761, number)
        builder.append(number, timestamp=1, key=b"k", value=value, headers=[])
    return bytes(builder.build())[HEADER_BYTES:]

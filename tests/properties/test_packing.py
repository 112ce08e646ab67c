"""Record batches are byte for byte aiokafka's, whoever packs them."""

from functools import partial
from unittest import mock

import pytest
from aiokafka.codec import zstd_encode
from aiokafka.record import default_records
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from hypothesis import given
from hypothesis import strategies as st

from processor import compression
from processor.transactions import batches
from processor.transactions.batches import Pair, Record, batches_of, uniform_batches
from processor.transactions.packing import HEADER_BYTES, Pack, encode_headers, pack, pack_in_python

TEXT = st.one_of(st.none(), st.binary(max_size=300), st.integers(0, 20_000).map(bytes))
HEADERS = st.lists(st.tuples(st.text(max_size=9), TEXT), max_size=3)
ROOM = st.one_of(st.integers(61, 2_000), st.just(1 << 20))
PACKERS = {"compiled": pack, "Python": pack_in_python}


def by_aiokafka(records: list[Record], room: int) -> list[bytes]:
    """Make the same batches of a producer with id 7 and epoch 3, numbered from 5 on."""

    def new() -> _DefaultRecordBatchBuilderPy:
        codec = DefaultRecordBatch.CODEC_ZSTD
        return _DefaultRecordBatchBuilderPy(2, codec, 1, 7, 3, 5, room)

    def built() -> bytes:
        if builder.size() < HEADER_BYTES + batches.SMALL_BYTES:
            builder._compression_type = DefaultRecordBatch.CODEC_NONE
        return bytes(builder.build())

    made: list[bytes] = []
    builder, count = new(), 0
    for key, value, headers in records:
        if builder.append(count, 1_000, key, value, list(headers)) is None:
            made.append(built())
            builder, count = new(), 0
            builder.append(count, 1_000, key, value, list(headers))
        count += 1
    return [*made, built()] if count else []


by_all = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


@by_all
@given(records=st.lists(st.tuples(TEXT, TEXT, HEADERS), max_size=12), room=ROOM)
def test_batches_are_aiokafka_s(packer: Pack, records: list[Record], room: int) -> None:
    level = partial(zstd_encode, level=compression.LEVEL)
    with (
        mock.patch.object(batches, "pack", packer),
        mock.patch.object(batches, "_now", return_value=1_000),
        mock.patch.object(default_records, "zstd_encode", level),
    ):
        made = batches_of(records, room)
        assert [batch.build(7, 3, 5) for batch in made] == by_aiokafka(records, room)
        assert sum(batch.count for batch in made) == len(records)


@by_all
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=12), headers=HEADERS, room=ROOM)
def test_headers_in_common_are_each_record_s(
    packer: Pack, pairs: list[Pair], headers: list[tuple[str, bytes | None]], room: int
) -> None:
    with (
        mock.patch.object(batches, "pack", packer),
        mock.patch.object(batches, "_now", return_value=1_000),
    ):
        together = uniform_batches(pairs, encode_headers(headers), room)
        assert together == batches_of([(key, value, headers) for key, value in pairs], room)


@by_all
def test_many_records_are_numbered(packer: Pack) -> None:
    with mock.patch.object(batches, "pack", packer):
        made = uniform_batches([(b"%d" % n, b"v") for n in range(20_000)], b"\0", 100_000)
    assert len(made) > 2
    read = [DefaultRecordBatch(batch.build(7, 3, 0)) for batch in made]
    assert [r.key for batch in read for r in batch] == [b"%d" % n for n in range(20_000)]


@by_all
@pytest.mark.parametrize("record", [("k", b"v", b"\0"), (b"k", 5, b"\0"), (b"k", b"v", None)])
def test_what_is_no_bytes_is_refused(packer: Pack, record: object) -> None:
    with pytest.raises(TypeError):
        packer([record], None, 1_000)


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnicodeError):
        encode_headers([("\ud800", b"x")])

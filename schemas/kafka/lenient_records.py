"""Reading records whose header names are not UTF-8, which aiokafka's parser cannot.

Kafka says that header names are text, but brokers do not check, and clients exist that take them as
bytes. aiokafka decodes them while it fetches, so one such record would stop its partition for ever.
Here a batch that fails is parsed again by aiokafka's own Python parser with undecodable bytes kept
as lone surrogates (``surrogateescape``); the fold then refuses the record as malformed. Who makes
a consumer by ``schemas.kafka.consumers`` has this; nobody makes one by any other way.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from typing_extensions import override


class _Text(bytearray):
    """Bytes whose slices decode without failing: what is no text becomes lone surrogates."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Text(found) if isinstance(index, slice) else found

    @override
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "surrogateescape")


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _Text):
            self._buffer = _Text(self._buffer)


class _Batch:
    """A parsed batch; what aiokafka asks of it besides its records comes from its own."""

    def __init__(self, batch: Any, data: bytes) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(list(self._again()))

    def _again(self) -> Any:
        slices = _MemoryRecordsPy(self._data)
        while (piece := slices._next_slice) is not None:
            slices._cache_next()
            batch = _LenientBatch(bytearray(piece))
            if batch.base_offset == self._batch.base_offset:
                return batch
        raise AssertionError("a batch is not in the data that it came from")


class LenientRecords:
    """Stands in for aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """How large the fetched data is."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """Return the next batch."""
        return _Batch(self._records.next_batch(), self._data)


def install() -> None:
    """Make every consumer of this process read leniently; a second call changes nothing."""
    fetcher.MemoryRecords = LenientRecords

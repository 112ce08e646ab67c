"""Records as the body of record batches, before compression: what `pack` does, and who does it.

``compiled_packing`` does it in one call a batch, where a C compiler was present at installation.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aiokafka.record.util import encode_varint

Headers = Sequence[tuple[str, bytes | None]]
HEADER_BYTES = 61
"""What stands before a batch's body."""

Pack = Callable[[Iterable[Any], bytes | None, int], list[tuple[bytes, int]]]
"""Put records into as few bodies as take them, in their order; return each with its number of
records. A body takes ``room`` bytes less ``HEADER_BYTES``; one record alone may be larger.

The records are pairs of key and value, which have these encoded headers in common; without headers,
they are triples with their own. All are as old as the batch.
"""


def encode_headers(headers: Headers) -> bytes:
    """Return the headers of a record as they stand in it.

    Raises:
        UnicodeError: a name cannot be written.
    """
    encoded = bytearray()
    encode_varint(len(headers), encoded.append)
    for name, value in headers:
        encoded += _field(name.encode())
        encoded += _field(value)
    return bytes(encoded)


def pack_in_python(
    records: Iterable[Any], headers: bytes | None, room: int
) -> list[tuple[bytes, int]]:
    """See `Pack`."""
    made: list[tuple[bytes, int]] = []
    body, count = bytearray(), 0
    for record in records:
        key, value, own = record if headers is None else (*record, headers)
        fields = _field(key) + _field(value) + own
        packed = _numbered(count, fields)
        if count and HEADER_BYTES + len(body) + len(packed) > room:
            made.append((bytes(body), count))
            body, count = bytearray(), 0
            packed = _numbered(0, fields)
        body += packed
        count += 1
    if count:
        made.append((bytes(body), count))
    return made


def _numbered(number: int, fields: bytes) -> bytes:
    """Return a record: its size, no attributes, no time after the batch's, its number."""
    inner = bytearray(2)
    encode_varint(number, inner.append)
    inner += fields
    packed = bytearray()
    encode_varint(len(inner), packed.append)
    return bytes(packed + inner)


def _field(value: bytes | None) -> bytes:
    encoded = bytearray()
    encode_varint(-1 if value is None else len(value), encoded.append)
    return bytes(encoded) + (value or b"")


try:
    from processor.transactions.compiled_packing import pack as _compiled
except ImportError:
    pack: Pack = pack_in_python
else:
    pack = _compiled

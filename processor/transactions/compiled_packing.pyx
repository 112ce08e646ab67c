# cython: language_level=3, boundscheck=False, wraparound=False
"""Records as the body of record batches, in one call a batch: the fast path of ``packing``.

`tests/properties/test_packing.py` compares the two.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

DEF HEADER = 61


cdef inline Py_ssize_t size_of(Py_ssize_t value) noexcept:
    """Return the bytes of a number that is not negative, as a zigzag varint."""
    cdef size_t rest = <size_t>value << 1
    cdef Py_ssize_t size = 1
    while rest >= 128:
        rest >>= 7
        size += 1
    return size


cdef inline char *put(char *at, Py_ssize_t value) noexcept:
    cdef size_t rest = <size_t>value << 1
    while rest >= 128:
        at[0] = <char>((rest & 127) | 128)
        at += 1
        rest >>= 7
    at[0] = <char>rest
    return at + 1


cdef inline Py_ssize_t size_of_bytes(bytes text) noexcept:
    if text is None:
        return 1
    return size_of(PyBytes_GET_SIZE(text)) + PyBytes_GET_SIZE(text)


cdef inline char *put_bytes(char *at, bytes text) noexcept:
    cdef Py_ssize_t size
    if text is None:
        at[0] = 1  # the zigzag of -1
        return at + 1
    size = PyBytes_GET_SIZE(text)
    at = put(at, size)
    memcpy(at, PyBytes_AS_STRING(text), size)
    return at + size


cdef inline Py_ssize_t size_of_fields(tuple record, bytes headers) except -1:
    """Return the bytes of a record but for its size and its number."""
    cdef bytes key = record[0]
    cdef bytes value = record[1]
    cdef bytes own = headers if headers is not None else record[2]
    if own is None:
        raise TypeError("a record has headers, be they none")
    return 2 + size_of_bytes(key) + size_of_bytes(value) + PyBytes_GET_SIZE(own)


cdef bytes body_of(list records, Py_ssize_t first, Py_ssize_t end, bytes headers, Py_ssize_t size):
    """Write the records from ``first`` up to ``end``, which take so many bytes."""
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef char *at = PyBytes_AS_STRING(made)
    cdef tuple record
    cdef bytes own
    cdef Py_ssize_t place
    for place in range(first, end):
        record = <tuple>records[place]
        own = headers if headers is not None else <bytes>record[2]
        at = put(at, size_of_fields(record, headers) + size_of(place - first))
        at[0] = 0  # attributes
        at[1] = 0  # the time after the batch's
        at = put(at + 2, place - first)
        at = put_bytes(put_bytes(at, <bytes>record[0]), <bytes>record[1])
        memcpy(at, PyBytes_AS_STRING(own), PyBytes_GET_SIZE(own))
        at += PyBytes_GET_SIZE(own)
    return made


def pack(records, bytes headers, Py_ssize_t room):
    """Put records into bodies; see `packing.Pack`."""
    cdef list given = list(records)
    cdef Py_ssize_t place, first = 0, size = 0, fields, total
    made = []
    for place in range(len(given)):
        fields = size_of_fields(given[place], headers)
        total = fields + size_of(place - first)
        total += size_of(total)
        if place > first and HEADER + size + total > room:
            made.append((body_of(given, first, place, headers, size), place - first))
            first, size = place, 0
            total = fields + 1
            total += size_of(total)
        size += total
    if given:
        made.append((body_of(given, first, len(given), headers, size), len(given) - first))
    return made

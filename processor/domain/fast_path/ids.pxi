"""Ids as `schemas.ids` makes them, and Kafka's place for a key."""

cdef bytes NS = ids.NS.bytes


cdef class Id:
    """A derived id: its 16 bytes, and its text."""

    cdef bytes raw
    cdef bytes text


cdef Id derived(bytes name):
    """Return ``uuid5(NS, name)``."""
    cdef bytes digest = sha1(NS + name).digest()
    cdef unsigned char raw[16]
    cdef char text[36]
    cdef int place = 0, byte
    cdef Id made = Id()
    memcpy(raw, PyBytes_AS_STRING(digest), 16)
    raw[6] = (raw[6] & 0x0F) | 0x50
    raw[8] = (raw[8] & 0x3F) | 0x80
    for byte in range(16):
        if byte == 4 or byte == 6 or byte == 8 or byte == 10:
            text[place] = b"-"
            place += 1
        text[place] = HEX[raw[byte] >> 4]
        text[place + 1] = HEX[raw[byte] & 15]
        place += 2
    made.raw = PyBytes_FromStringAndSize(<char *>raw, 16)
    made.text = PyBytes_FromStringAndSize(text, 36)
    return made


cdef const char *HEX = b"0123456789abcdef"


cdef uint32_t murmur2(bytes key) noexcept:
    """Return the hash by which Kafka's own partitioner places a key of whole words."""
    cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(key)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(key), place
    cdef uint32_t m = 0x5BD1E995, k
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>size
    for place in range(0, size - size % 4, 4):
        k = at[place] | at[place + 1] << 8 | at[place + 2] << 16 | <uint32_t>at[place + 3] << 24
        k *= m
        k = (k ^ (k >> 24)) * m
        h = (h * m) ^ k
    h = (h ^ (h >> 13)) * m
    return h ^ (h >> 15)

"""A challenge log's fields, read from JSON that is plain."""


cdef struct Fields:
    Text project
    Text challenge_id
    Text owned_by_id
    Text external_id
    Text activity_at
    Text activity_id
    Text unique_identifier
    int64_t nanos
    bint has_amount


cdef bint set_text(Cursor *c, Text *field) noexcept nogil:
    """Read a field that was not there before."""
    return field.at is NULL and take_text(c, field)


cdef bint read_owner(Cursor *c, Fields *f) noexcept nogil:
    cdef Text name
    if not take(c, b"{") or not take_text(c, &name) or not is_text(&name, b"externalId", 10):
        return False
    return take(c, b":") and set_text(c, &f.external_id) and take(c, b"}")


cdef bint read_field(Cursor *c, Text *name, Fields *f) noexcept nogil:
    if is_text(name, b"challengeId", 11):
        return set_text(c, &f.challenge_id)
    if is_text(name, b"ownedBy", 7):
        return read_owner(c, f)
    if is_text(name, b"ownedById", 9):
        return set_text(c, &f.owned_by_id)
    if is_text(name, b"activityAt", 10):
        return set_text(c, &f.activity_at)
    if is_text(name, b"activityId", 10):
        return set_text(c, &f.activity_id)
    if is_text(name, b"uniqueIdentifier", 16):
        return set_text(c, &f.unique_identifier)
    if is_text(name, b"activityValue", 13):
        if f.has_amount:
            return False
        f.has_amount = True
        return take_amount(c, &f.nanos)
    if is_text(name, b"project", 7):
        return set_text(c, &f.project)
    return False


cdef bint read_fields(bytes value, Fields *f):
    """Read a whole record; False where something in it is not plain, or is no field of these."""
    cdef Cursor c
    cdef Text name
    memset(f, 0, sizeof(Fields))
    c.at = PyBytes_AS_STRING(value)
    c.end = c.at + PyBytes_GET_SIZE(value)
    if not take(&c, b"{"):
        return False
    while True:
        if not take_text(&c, &name) or not take(&c, b":") or not read_field(&c, &name, f):
            return False
        if not take(&c, b","):
            break
    return (
        take(&c, b"}") and c.at == c.end
        and f.challenge_id.at is not NULL and f.activity_at.at is not NULL
        and fits(&f.activity_id, 256) and fits(&f.unique_identifier, 512)
        and (f.external_id.at is NULL) != (f.owned_by_id.at is NULL)
    )


cdef bint read_amount(bytes text, int64_t *nanos):
    """Read an amount; False where it is not plain."""
    cdef Cursor c
    c.at = PyBytes_AS_STRING(text)
    c.end = c.at + PyBytes_GET_SIZE(text)
    return take_amount(&c, nanos) and c.at == c.end


cdef inline void point_at(bytes of, Text *out):
    out.at, out.size = PyBytes_AS_STRING(of), PyBytes_GET_SIZE(of)


cdef bint text_of(bytes plain, Text *out):
    """Point a text at bytes; False where JSON would write them in another way."""
    point_at(plain, out)
    return is_plain(out)


cdef inline bint fits(Text *text, Py_ssize_t most) noexcept nogil:
    return text.at is not NULL and 1 <= text.size <= most


cdef inline bytes bytes_of(Text *text):
    return PyBytes_FromStringAndSize(text.at, text.size)


cdef bint asks_nothing(headers):
    """Tell whether headers are small, plain, and those of no request."""
    if len(headers) > 32:
        return False
    for name, value in headers:
        if not name.isascii() or len(name) > 256 or name.startswith("kafka_") or name == DRY_RUN:
            return False
        if value is not None and len(value) > MAX_VALUE:
            return False
    return True

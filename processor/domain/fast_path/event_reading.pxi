"""An event's fields, read from JSON that is plain but for its metadata."""


DEF BRACKETS = 100  # fewer than metadata may nest


cdef struct EventFields:
    Text project
    Text event_id
    Text user_id
    Text metadata
    Text occurred_at
    Text idempotency_key
    Text ip


cdef bint take_object(Cursor *c, Text *out) noexcept nogil:
    """Pass an object without escapes; whoever decodes it finds out whether it is one."""
    cdef int depth = 0, brackets = 0
    cdef char ch
    if out.at is not NULL or c.at >= c.end or c.at[0] != b"{":
        return False
    out.at = c.at
    while c.at < c.end:
        ch = c.at[0]
        if ch == b'"':
            c.at = <const char *>memchr(c.at + 1, b'"', c.end - c.at - 1)
            if c.at is NULL:
                c.at = c.end
                return False
        elif ch == b"{" or ch == b"[":
            depth += 1
            brackets += 1
            if brackets > BRACKETS:
                return False
        elif ch == b"}" or ch == b"]":
            depth -= 1
            if depth == 0:
                c.at += 1
                out.size = c.at - out.at
                return memchr(out.at, b"\\", out.size) is NULL
        c.at += 1
    return False


cdef bint read_event_field(Cursor *c, Text *name, EventFields *f) noexcept nogil:
    if is_text(name, b"eventId", 7):
        return set_text(c, &f.event_id)
    if is_text(name, b"userId", 6):
        return set_text(c, &f.user_id)
    if is_text(name, b"metadata", 8):
        return take_object(c, &f.metadata)
    if is_text(name, b"occurredAt", 10):
        return set_text(c, &f.occurred_at)
    if is_text(name, b"idempotencyKey", 14):
        return set_text(c, &f.idempotency_key)
    if is_text(name, b"ip", 2):
        return set_text(c, &f.ip)
    if is_text(name, b"project", 7):
        return set_text(c, &f.project)
    return False


cdef bint read_event_fields(bytes value, EventFields *f):
    """Read a whole record; False where something in it is not plain, or is no field of these."""
    cdef Cursor c
    cdef Text name
    memset(f, 0, sizeof(EventFields))
    c.at = PyBytes_AS_STRING(value)
    c.end = c.at + PyBytes_GET_SIZE(value)
    if not take(&c, b"{"):
        return False
    while True:
        if not take_text(&c, &name) or not take(&c, b":") or not read_event_field(&c, &name, f):
            return False
        if not take(&c, b","):
            break
    return (
        take(&c, b"}") and c.at == c.end
        and fits(&f.event_id, 256) and fits(&f.user_id, 256)
        and (f.idempotency_key.at is NULL or fits(&f.idempotency_key, 512))
        and f.ip.size <= 64
    )

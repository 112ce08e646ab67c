"""A member's progress, read from its entry; and what else is read of entries."""


cdef struct Progress:
    int64_t total
    Text status
    Text method
    Text period
    Text timezone
    Text started
    Text completed  # null or a text with its quotes
    Text failed
    Text created
    Text reached  # what is between the brackets


cdef bint take_moment_or_null(Cursor *c, Text *out) noexcept nogil:
    """Pass null or a text, with its quotes."""
    cdef Text inner
    out.at = c.at
    if c.end - c.at >= 4 and memcmp(c.at, b"null", 4) == 0:
        c.at += 4
    elif not take_text(c, &inner):
        return False
    out.size = c.at - out.at
    return True


cdef bint read_progress(bytes entry, Progress *p):
    """Read a ``challenge.Progress`` whose texts are plain; they point into the entry.

    A large one is Python's, which measures what it is to become; so is one that voids reopened.
    """
    cdef Cursor c
    cdef Text updated
    cdef const char *end
    if PyBytes_GET_SIZE(entry) > MAX_ENTRY:
        return False
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    if not (
        take(&c, b"[") and take_total(&c, &p.total)
        and take(&c, b",") and take_text(&c, &p.status)
        and take(&c, b",") and take_text(&c, &p.method)
        and take(&c, b",") and take_text(&c, &p.period)
        and take(&c, b",") and take_text(&c, &p.timezone)
        and take(&c, b",") and take_text(&c, &p.started)
        and take(&c, b",") and take_moment_or_null(&c, &p.completed)
        and take(&c, b",") and take_moment_or_null(&c, &p.failed)
        and take(&c, b",") and take_text(&c, &p.created)
        and take(&c, b",") and take_text(&c, &updated)
        and take(&c, b",") and take(&c, b"[")
    ):
        return False
    end = <const char *>memchr(c.at, b"]", c.end - c.at)
    if end is NULL:
        return False
    p.reached.at, p.reached.size = c.at, end - c.at
    if c.end - end == 4:
        return memcmp(end, b"],0]", 4) == 0
    return c.end - end == 2 and end[1] == b"]"  # from before there were voids


cdef void begin_progress(bytes began, Moment *at, Moment *recorded_at, Progress *p) noexcept:
    """Set a progress to that of a challenge's first log, before it is counted."""
    cdef Cursor c
    p.total = 0
    c.at = PyBytes_AS_STRING(began)
    c.end = c.at + PyBytes_GET_SIZE(began)
    take_text(&c, &p.status)
    take(&c, b",")
    take_text(&c, &p.method)
    take(&c, b",")
    take_text(&c, &p.period)
    take(&c, b",")
    take_text(&c, &p.timezone)
    p.started.at, p.started.size = at.text, at.size
    p.created.at, p.created.size = recorded_at.text, recorded_at.size
    p.completed.at = p.failed.at = b"null"
    p.completed.size = p.failed.size = 4
    p.reached.at, p.reached.size = b"", 0


cdef bint start_by(Progress *p, Moment *at) noexcept nogil:
    """Set the start to ``at`` where that is earlier; False where the start is not plain."""
    cdef Moment begun
    if is_text(&p.started, at.text, at.size):
        return True
    if not read_moment(&p.started, &begun):
        return False
    if at.micros < begun.micros:
        p.started.at, p.started.size = at.text, at.size
    return True


cdef bint holds(Text *reached, bytes id_) noexcept:
    """Tell whether an id is among the quoted ones of a list. Ids are UUIDs, all of one length."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(id_), place = 1
    while place + size < reached.size:
        if memcmp(reached.at + place, PyBytes_AS_STRING(id_), size) == 0:
            return True
        place += size + 3
    return False


cdef Py_ssize_t count_of(Text *reached) noexcept:
    """Return how many quoted ids a list has. Ids are UUIDs, with quotes and a comma 39 bytes."""
    return (reached.size + 1) // 39


cdef bint is_live_member(bytes entry, bytes project) noexcept:
    """Tell whether a ``Member`` is of a project, lives, and was announced."""
    cdef Cursor c
    cdef Text of, status
    cdef int64_t version
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    return (
        take(&c, b"[") and take_text(&c, &of)
        and is_text(&of, PyBytes_AS_STRING(project), PyBytes_GET_SIZE(project))
        and take(&c, b",") and skip_text(&c)
        and take(&c, b",") and skip_text(&c)
        and take(&c, b",") and skip_text(&c)
        and take(&c, b",") and take_total(&c, &version) and version > 0
        and take(&c, b",") and take_text(&c, &status) and is_text(&status, b"live", 4)
    )


cdef bint skip_text_or_null(Cursor *c) noexcept nogil:
    if c.end - c.at >= 4 and memcmp(c.at, b"null", 4) == 0:
        c.at += 4
        return True
    return skip_text(c)


cdef bint skip_texts(Cursor *c) noexcept nogil:
    """Pass a list of any strings."""
    if not take(c, b"["):
        return False
    while c.at < c.end and c.at[0] != b"]":
        if not skip_text(c) or not (take(c, b",") or c.at < c.end and c.at[0] == b"]"):
            return False
    return take(c, b"]")


cdef bytes zone_of(bytes entry):
    """Return the time zone of a live ``Member``, empty where it has none; None where that, or what
    comes before it, is not plain."""
    cdef Cursor c
    cdef Text name
    cdef int64_t version
    cdef int place
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    if not take(&c, b"["):
        return None
    for place in range(4):
        if not skip_text(&c) or not take(&c, b","):
            return None
    if not take_total(&c, &version):
        return None
    for place in range(8):  # the status, and what it is called, and where it lives
        if not take(&c, b",") or not skip_text_or_null(&c):
            return None
    if not take(&c, b",") or not skip_texts(&c) or not take(&c, b","):
        return None
    if not take_moment_or_null(&c, &name):
        return None
    return b"" if name.at[0] == b"n" else PyBytes_FromStringAndSize(name.at + 1, name.size - 2)

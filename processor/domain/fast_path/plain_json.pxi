"""Reading JSON that is plain: printable ASCII without escapes, amounts that fit 64 bits.

Each function passes one thing at a cursor; what it does not know makes it return False, which says
nothing about whether the text is good.
"""

cdef struct Text:
    const char *at
    Py_ssize_t size


cdef struct Cursor:
    const char *at
    const char *end


cdef inline void skip_space(Cursor *c) noexcept nogil:
    while c.at < c.end and (c.at[0] == 32 or c.at[0] == 10 or c.at[0] == 13 or c.at[0] == 9):
        c.at += 1


cdef inline bint take(Cursor *c, char wanted) noexcept nogil:
    """Pass one character, and the space around it."""
    skip_space(c)
    if c.at >= c.end or c.at[0] != wanted:
        return False
    c.at += 1
    skip_space(c)
    return True


cdef bint is_plain(Text *text) noexcept nogil:
    """Tell whether a text is printable ASCII that JSON writes as it is."""
    cdef Py_ssize_t place
    for place in range(text.size):
        if not 32 <= text.at[place] <= 126 or text.at[place] == b'"' or text.at[place] == b'\\':
            return False
    return True


cdef bint take_text(Cursor *c, Text *out) noexcept nogil:
    """Pass a string of printable ASCII without escapes."""
    cdef unsigned char ch
    if c.at >= c.end or c.at[0] != b'"':
        return False
    c.at += 1
    out.at = c.at
    while c.at < c.end:
        ch = <unsigned char>c.at[0]
        if ch == b'"':
            out.size = c.at - out.at
            c.at += 1
            return True
        if ch < 32 or ch > 126 or ch == b'\\':
            return False
        c.at += 1
    return False


cdef bint skip_text(Cursor *c) noexcept nogil:
    """Pass any string."""
    if c.at >= c.end or c.at[0] != b'"':
        return False
    c.at += 1
    while c.at < c.end:
        if c.at[0] == b'\\':
            c.at += 2
        elif c.at[0] == b'"':
            c.at += 1
            return True
        else:
            c.at += 1
    return False


cdef bint take_amount(Cursor *c, int64_t *out) noexcept nogil:
    """Pass a number of at most 9 digits before and 9 after the point, as nanos."""
    cdef bint negative = False
    cdef int64_t whole = 0, fraction = 0, unit = SCALE
    cdef const char *first
    if c.at < c.end and c.at[0] == b"-":
        negative = True
        c.at += 1
    first = c.at
    while c.at < c.end and b"0" <= c.at[0] <= b"9":
        whole = whole * 10 + (c.at[0] - 48)
        c.at += 1
        if c.at - first > 9:
            return False
    if c.at == first or (first[0] == b"0" and c.at - first > 1):
        return False
    if c.at < c.end and c.at[0] == b".":
        c.at += 1
        first = c.at
        while c.at < c.end and b"0" <= c.at[0] <= b"9":
            if unit == 1:
                return False
            unit //= 10
            fraction += (c.at[0] - 48) * unit
            c.at += 1
        if c.at == first:
            return False
    if c.at < c.end and c.at[0] in b"eE":
        return False
    out[0] = whole * SCALE + fraction
    if negative:
        out[0] = -out[0]
    return True


cdef bint take_total(Cursor *c, int64_t *out) noexcept nogil:
    """Pass an integer that leaves room for one more amount."""
    cdef bint negative = False
    cdef const char *first
    cdef int64_t total = 0
    if c.at < c.end and c.at[0] == b"-":
        negative = True
        c.at += 1
    first = c.at
    while c.at < c.end and b"0" <= c.at[0] <= b"9":
        if c.at - first >= 19 or total > SAFE // 10:
            return False
        total = total * 10 + (c.at[0] - 48)
        c.at += 1
    if c.at == first or total > SAFE:
        return False
    out[0] = -total if negative else total
    return True


cdef inline bint is_text(Text *text, const char *wanted, Py_ssize_t size) noexcept nogil:
    return text.size == size and memcmp(text.at, wanted, size) == 0


cdef inline bint is_bytes(Text *text, bytes wanted):
    return is_text(text, PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted))

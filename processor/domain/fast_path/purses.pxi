"""What a member has in each group, read from its entry and written into it: `points.Balances`.

All but one group's is copied as it stands.
"""

DEF MOST_GROUPS = 100
cdef int64_t MOST_POINTS = 10_000_000_000_000_000  # of one group: a hundred of them fit 64 bits


cdef struct Purse:
    int64_t balance
    int64_t held
    int64_t holds
    int64_t pending
    int64_t expiring
    int64_t overdue
    int64_t lots
    int64_t time_changes
    int64_t slides_on
    Text slides_at  # null or a text with its quotes
    int64_t told
    int64_t first
    Text slid_until
    int64_t merged


cdef struct Having:
    Purse purse  # of the group that is asked for; empty where there is none
    Text value  # where that stands in the entry; nowhere where it does not
    const char *close  # where the groups end
    bint whole  # whether it is more than a number
    int64_t total  # the balances of all groups
    Py_ssize_t groups


cdef bint take_truth(Cursor *c, int64_t *out) noexcept nogil:
    if c.end - c.at >= 4 and memcmp(c.at, b"true", 4) == 0:
        out[0] = 1
        c.at += 4
        return True
    out[0] = 0
    if c.end - c.at < 5 or memcmp(c.at, b"false", 5) != 0:
        return False
    c.at += 5
    return True


cdef inline bint take_next(Cursor *c, int64_t *out) noexcept nogil:
    return take(c, b",") and take_total(c, out)


cdef inline bint are_few(int64_t points) noexcept nogil:
    return -MOST_POINTS < points < MOST_POINTS


cdef bint take_purse(Cursor *c, Purse *p) noexcept nogil:
    """Pass a ``points.Purse`` that has all its fields."""
    return (
        take(c, b"[") and take_total(c, &p.balance)
        and take_next(c, &p.held) and take_next(c, &p.holds) and take_next(c, &p.pending)
        and take_next(c, &p.expiring) and take_next(c, &p.overdue) and take_next(c, &p.lots)
        and take_next(c, &p.time_changes) and take_next(c, &p.slides_on)
        and take(c, b",") and take_moment_or_null(c, &p.slides_at)
        and take(c, b",") and take_truth(c, &p.told)
        and take_next(c, &p.first)
        and take(c, b",") and take_moment_or_null(c, &p.slid_until)
        and take(c, b",") and take_truth(c, &p.merged)
        and take(c, b"]")
        and are_few(p.balance) and are_few(p.pending) and are_few(p.expiring)
    )


cdef void empty(Purse *p) noexcept nogil:
    memset(p, 0, sizeof(Purse))
    p.slides_at.at = p.slid_until.at = b"null"
    p.slides_at.size = p.slid_until.size = 4


cdef bint take_having(Cursor *c, Purse *p, bint *whole) noexcept nogil:
    """Pass what there is in a group: a number, or a purse."""
    whole[0] = c.at < c.end and c.at[0] == b"["
    if whole[0]:
        return take_purse(c, p)
    empty(p)
    return take_total(c, &p.balance) and are_few(p.balance)


cdef bint read_balances(bytes entry, bytes group, Having *have):
    """Read what a member has in a group, and in all; the texts point into the entry.

    False where something there is written as an earlier version did, or there are very many groups.
    """
    cdef Cursor c
    cdef Text name
    cdef Purse other
    cdef bint whole
    cdef const char *begins
    memset(have, 0, sizeof(Having))
    empty(&have.purse)
    if entry is None:
        return True
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    if not take(&c, b"[") or not take(&c, b"{"):
        return False
    while c.at < c.end and c.at[0] != b"}":
        if have.groups == MOST_GROUPS or have.groups and not take(&c, b","):
            return False
        if not take_text(&c, &name) or not take(&c, b":"):
            return False
        begins = c.at
        if not take_having(&c, &other, &whole):
            return False
        have.groups += 1
        have.total += other.balance
        if is_bytes(&name, group):
            have.purse, have.whole = other, whole
            have.value.at, have.value.size = begins, c.at - begins
    have.close = c.at
    return take(&c, b"}") and take(&c, b"]") and c.at == c.end


cdef bytes balances_entry(Buffer b, bytes entry, bytes group, Having *have):
    """Return the entry with what there is in the group by now."""
    cdef const char *begins
    if entry is None:
        b.put(b"[{")
    else:
        begins = PyBytes_AS_STRING(entry)
        b.add(begins, (have.close if have.value.at is NULL else have.value.at) - begins)
    if have.value.at is NULL:
        b.put(b',"' if have.groups else b'"')
        b.put(group)
        b.put(b'":')
        have.groups += 1
    put_having(b, have)
    if entry is None:
        b.put(b"}]")
    elif have.value.at is NULL:
        b.put(b"}]")
    else:
        begins = have.value.at + have.value.size
        b.add(begins, PyBytes_AS_STRING(entry) + PyBytes_GET_SIZE(entry) - begins)
    return b.done()


cdef int put_having(Buffer b, Having *have) except -1:
    cdef Purse *p = &have.purse
    if not have.whole:
        return b.integer(p.balance)
    b.put(b"[")
    b.integer(p.balance)
    put_next(b, p.held)
    put_next(b, p.holds)
    put_next(b, p.pending)
    put_next(b, p.expiring)
    put_next(b, p.overdue)
    put_next(b, p.lots)
    put_next(b, p.time_changes)
    put_next(b, p.slides_on)
    b.put(b",")
    b.text(&p.slides_at)
    b.put(b",true" if p.told else b",false")
    put_next(b, p.first)
    b.put(b",")
    b.text(&p.slid_until)
    return b.put(b",true]" if p.merged else b",false]")


cdef int put_next(Buffer b, int64_t value) except -1:
    b.add(b",", 1)
    return b.integer(value)

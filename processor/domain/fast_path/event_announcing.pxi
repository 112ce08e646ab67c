"""What an event leads to: its record, the entry of the points ledger, and their entries in the store.

In the order of the fields of `outputs.EventLogged`, `outputs.PointsChanged`, `event.Said` and
`points.Balances`.
"""

cdef bytes EVENT_LOGGED = event_types.EVENT_LOGGED.name.encode()
cdef bytes POINTS_GRANTED = event_types.POINTS_GRANTED.name.encode()
DEF MOST_GROUPS = 100
cdef int64_t MOST_POINTS = 10_000_000_000_000_000  # of one group: a hundred of them fit 64 bits


cdef struct Judged:
    int64_t points
    int64_t slots  # of the limit, used before
    int64_t balance  # of the group, afterwards
    int64_t total
    Py_ssize_t groups
    bint found  # whether the member had points in the group
    bint met
    bint full


cdef inline bytes truth(bint value):
    return b"true" if value else b"false"


cdef bytes logged(Buffer b, FastEvent event, Judged *judged, bytes user_group, int64_t sequence):
    """``event.logged``."""
    cdef EventRule rule = event.rule
    begin_event(
        b, event.id.text, rule.source, EVENT_LOGGED, event.member.id, &event.at, sequence
    )
    b.put(b'{"userId":')
    b.quoted(&event.user_id)
    b.put(rule.named)
    b.integer(judged.points)
    b.put(rule.title)
    b.text(&event.metadata)
    b.put(b',"conditionReached":')
    b.put(truth(judged.met))
    b.put(b',"limitReached":')
    b.put(truth(judged.full))
    b.put(b',"userGroupId":')
    b.put(user_group)
    b.put(b',"id":"')
    b.put(event.id.text)
    b.put(b'","ownedById":"')
    b.put(event.member.id)
    b.put(rule.owned)
    b.quoted_or_null(&event.idempotency_key)
    b.put(b',"ip":')
    b.quoted_or_null(&event.ip)
    b.put(b',"occurredAt":')
    b.moment(&event.at)
    b.put(b',"createdAt":')
    b.moment(&event.recorded_at)
    b.put(rule.day(&event.at))
    b.put(rule.ends)
    return b.done()


cdef bytes granted(Buffer b, FastEvent event, Judged *judged, bytes user_group, int64_t sequence):
    """``points.granted`` of a group that has no lots."""
    cdef EventRule rule = event.rule
    cdef bytes id_ = derived(b"%b:points:event:%b" % (rule.project, event.id.text)).text
    cdef bytes of_event = derived(b"%b:points:%b:0" % (rule.project, id_)).text
    begin_event(b, of_event, rule.source, POINTS_GRANTED, event.member.id, &event.at, sequence)
    b.put(b'{"id":"')
    b.put(id_)
    b.put(b'","userId":')
    b.quoted(&event.user_id)
    b.put(b',"ownedById":"')
    b.put(event.member.id)
    b.put(rule.action)
    b.integer(judged.points)
    b.put(b',"balance":')
    b.integer(judged.balance)
    b.put(b',"totalBalance":')
    b.integer(judged.total)
    b.put(b',"operation":"grant","eventId":"')
    b.put(rule.id)
    b.put(b'","userGroupId":')
    b.put(user_group)
    b.put(b',"sourceId":"')
    b.put(event.id.text)
    b.put(b'","ip":')
    b.quoted_or_null(&event.ip)
    b.put(b',"occurredAt":')
    b.moment(&event.at)
    b.put(b',"createdAt":')
    b.moment(&event.recorded_at)
    b.put(rule.ends)
    return b.done()


cdef int put_said(Buffer b, FastEvent event, Judged *judged, bytes user_group) except -1:
    """Write an ``event.Said``."""
    cdef EventRule rule = event.rule
    b.put(b"[")
    b.quoted(&event.user_id)
    b.put(rule.kept)
    b.integer(judged.points)
    b.put(rule.kept_title)
    b.text(&event.metadata)
    b.put(b",")
    b.put(truth(judged.met))
    b.put(b",")
    b.put(truth(judged.full))
    b.put(b",")
    b.put(user_group)
    b.put(b"]")
    return 0


cdef bytes answer_entry(
    Buffer b, FastEvent event, Judged *judged, bytes user_group, bytes hits
):
    """Return a ``LoggedEvent``."""
    cdef EventRule rule = event.rule
    cdef FastLog log
    cdef bint first = True
    b.put(b"[")
    put_said(b, event, judged, user_group)
    b.put(rule.did)
    b.moment(&event.at)
    b.put(rule.did_in)
    if rule.limited and judged.met and not judged.full:
        b.put(b'"')
        b.put(rule.period(&event.at))
        b.put(b'",[')
    else:
        b.put(b"null,[")
    if judged.met:
        for log in event.logs:
            if not first:
                b.put(b",")
            first = False
            b.put(log.rule.raw_json)
    b.put(b"],")
    b.put(hits)
    b.put(b"]]")
    return b.done()


cdef bint read_slots(bytes entry, int64_t *slots) noexcept:
    """Read a ``LimitUsage``."""
    cdef Cursor c
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    return take(&c, b"[") and take_total(&c, slots) and take(&c, b"]") and c.at == c.end


cdef bytes balances_entry(Buffer b, bytes entry, bytes group, Judged *judged):
    """Return a ``Balances`` with an event's points in their group, and set what there is then; None
    where the entry has more than balances, or very many."""
    cdef Text name
    judged.groups = judged.total = 0
    judged.found = False
    b.put(b"[{")
    if entry is not None and not put_balances(b, entry, group, judged):
        b.size = 0
        return None
    if not judged.found:
        text_of(group, &name)
        judged.balance = judged.points
        put_balance(b, &name, judged.points, judged)
    b.put(b"}]")
    return b.done()


cdef bint put_balances(Buffer b, bytes entry, bytes group, Judged *judged) except -1:
    """Write the balances that an entry has, with an event's points; False where it has more."""
    cdef Cursor c
    cdef Text name
    cdef int64_t points
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    if not take(&c, b"[") or not take(&c, b"{"):
        return False
    while not take(&c, b"}"):
        if judged.groups and not take(&c, b","):
            return False
        if not take_text(&c, &name) or not take(&c, b":") or not take_total(&c, &points):
            return False
        if judged.groups == MOST_GROUPS or not -MOST_POINTS < points < MOST_POINTS:
            return False
        if is_bytes(&name, group):
            points += judged.points
            judged.balance, judged.found = points, True
        put_balance(b, &name, points, judged)
    return take(&c, b"]") and c.at == c.end


cdef int put_balance(Buffer b, Text *name, int64_t points, Judged *judged) except -1:
    if judged.groups:
        b.add(b",", 1)
    b.quoted(name)
    b.add(b":", 1)
    b.integer(points)
    judged.groups += 1
    judged.total += points
    return 0


cdef bint is_named(bytes entry, Text *external_id) noexcept:
    """Tell whether a ``Member`` has an external id."""
    cdef Cursor c
    cdef Text found
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    return (
        take(&c, b"[") and skip_text(&c) and take(&c, b",") and take_text(&c, &found)
        and is_text(&found, external_id.at, external_id.size)
    )

"""What an event leads to: its record, the entry of the points ledger, and their entries in the store.

In the order of the fields of `outputs.EventLogged`, `outputs.PointsChanged`, `event.Said` and
`points.Granted`.
"""

cdef bytes EVENT_LOGGED = event_types.EVENT_LOGGED.name.encode()
cdef bytes POINTS_GRANTED = event_types.POINTS_GRANTED.name.encode()


cdef struct Judged:
    int64_t points
    int64_t slots  # of the limit, used before
    int64_t cut  # points that the wallet took away
    int64_t earned  # in the period in which the wallet caps them, before
    bint met
    bint full
    Having have  # what there is in the event's group; afterwards, once it was given


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
    b.put(rule.version)
    b.put(b"}}")
    return b.done()


cdef bytes granted(
    Buffer b, FastEvent event, Judged *judged, bytes lots, bytes user_group, int64_t sequence
):
    """``points.granted``, with the JSON of the lots that changed."""
    cdef EventRule rule = event.rule
    cdef bytes id_ = event.entry.text
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
    b.integer(judged.have.purse.balance)
    b.put(b',"totalBalance":')
    b.integer(judged.have.total)
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
    b.put(rule.version)
    put_moved(b, event, judged, lots)
    b.put(b"}}")
    return b.done()


cdef int put_moved(Buffer b, FastEvent event, Judged *judged, bytes lots) except -1:
    """Write what is said only where it is there."""
    cdef Purse *p = &judged.have.purse
    if p.held:
        b.put(b',"held":')
        b.integer(p.held)
    if p.pending:
        b.put(b',"pending":')
        b.integer(p.pending)
    if judged.cut:
        b.put(b',"cut":')
        b.integer(judged.cut)
        b.put(b',"cutBy":"')
        b.put(event.cut_by)
        b.put(b'"')
    if lots:
        b.put(b',"lots":[')
        b.put(lots)
        b.put(b"]")
    return 0


cdef bytes granted_entry(Buffer b, FastEvent event, int64_t points):
    """Return a ``Granted``."""
    b.put(b'["')
    b.put(event.rule.group)
    b.put(b'",')
    b.integer(points)
    b.put(b',"')
    b.put(b"endless" if event.days is None else event.days.name)
    b.put(b'",')
    b.moment(&event.at)
    b.put(b",1,false]")
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
    """Read a ``LimitUsage``, or the like: one number."""
    cdef Cursor c
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    return take(&c, b"[") and take_total(&c, slots) and take(&c, b"]") and c.at == c.end


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

"""The lots that an event's points move, as `handlers.lots` moves them where a grant is common.

It is where its points count at once and lapse later, and nothing in their lot is past its time. Then
they join that lot, or begin it; where all lots lapse together, the one of before joins it as well.
"""

cdef dict _lot_ids = {}  # (lot's key, or its family without a day) -> id


cdef struct Lot:
    int64_t points
    Text expires  # with its quotes
    Text notices  # with its brackets


cdef class CompiledLots(CompiledLogs):
    """Moves the lots of what a chunk's common events give."""

    cdef Buffer shown  # the lots that changed, as they are published
    cdef FastEvent event
    cdef End end  # when its points lapse

    def __init__(self, place, definitions, entries, effects):
        super().__init__(place, definitions, entries, effects)
        self.shown = Buffer()

    cdef bytes read_entry(self, bytes key):
        """Return an entry's JSON, from the store where it was not read; None where there is none."""
        if key not in self.entries:
            self.entries[key] = self.entries_of.load([key])[0]
        return self._entry(key)

    cdef bytes move_lots(self, FastEvent event, int64_t points, Purse *p):
        """Add an event's points to a purse and its lots; return the lots that changed as they are
        published, None where that is Python's."""
        cdef int64_t endless = p.balance - p.expiring, left
        self.event, self.end = event, event.end
        self.shown.size = 0
        if points and not self._count(points, p):
            return None
        left = p.balance - p.expiring
        if left != endless or left and not p.told:
            self._show(b"endless", b"", left, NULL)
        p.told = True
        return self.shown.done()

    cdef bint _count(self, int64_t points, Purse *p) except -1:
        """Add points that count at once; False where they lapse at once, or no more lots are taken."""
        cdef WalletRule wallet = self.event.rule.wallet
        p.balance += points
        if self.end.never:
            return True
        if wallet.slides and p.slides_at.size > 4 and not self._not_before(wallet, p):
            return False
        if self.end.odd or self.end.at.micros <= self.event.recorded_at.micros:
            return False
        p.expiring += points
        if wallet.slides and not self._slide(p, &points):
            return False
        return self._put(points, p)

    cdef bint _not_before(self, WalletRule wallet, Purse *p) except -1:
        """Have the points lapse not before the others do; False where that moment is not plain."""
        cdef Moment then
        if not read_quoted_moment(&p.slides_at, &then):
            return False
        if (self.end.day, self.end.at.micros) < (p.slides_on, then.micros):
            self.end = self.event.end = wallet.end_at(p.slides_on, &then)
            self.event.lot_key = self.event.lots + self.end.place
        return True

    cdef bint _slide(self, Purse *p, int64_t *points) except -1:
        """Have all lots lapse when the points do, and add those of before to them; False where those
        are past their time."""
        cdef Moment was
        cdef bytes entry, key, place
        cdef Lot lot
        if p.slides_at.size > 4 and p.slides_on:
            place = place_of(p.slides_on)
            key = self.event.lots + place
            entry = self.read_entry(key)
            if entry is None:
                read_quoted_moment(&p.slides_at, &was)
                if was.micros <= self.event.recorded_at.micros:
                    return False
            elif not read_lot(entry, &lot):
                return False
            elif p.slides_on != self.end.day:
                if not self._drop(key, p, &lot):
                    return False
                self._show(name_of(p.slides_on), place, 0, &lot.expires)
                points[0] += lot.points
        p.slides_on = self.end.day
        point_at(self.end.text, &p.slides_at)
        return True

    cdef bint _drop(self, bytes key, Purse *p, Lot *lot) except -1:
        """Delete a lot, and what is due of it; False where its moments are not plain."""
        cdef Moment at
        if not read_quoted_moment(&lot.expires, &at):
            return False
        self._change(due_at(&at) + key, None)
        if lot.notices.size > 2:
            if not read_first_notice(&lot.notices, &at):
                return False
            self._change(due_at(&at) + b"i" + key[1:], None)
        self.entries_of.set_in(self.event.lots, key, None)
        p.lots -= 1
        if p.first == p.slides_on:
            p.first = 0
        return True

    cdef bint _put(self, int64_t points, Purse *p) except -1:
        """Add points to their lot; False where what is there is past its time, or no lot is taken
        any more."""
        cdef bytes key = self.event.lot_key, entry = self.read_entry(key)
        cdef Moment was
        cdef Lot lot
        if entry is None:
            return self._begin(key, points, p)
        if not read_lot(entry, &lot):
            return False
        if not is_bytes(&lot.expires, self.end.text):
            if not read_quoted_moment(&lot.expires, &was):
                return False
            if was.micros < self.end.at.micros:
                self._change(due_at(&was) + key, None)
                self._change(self.end.due + key, b"[]")
                point_at(self.end.text, &lot.expires)
        lot.points += points
        return self._keep(key, &lot)

    cdef bint _begin(self, bytes key, int64_t points, Purse *p) except -1:
        """Begin a lot; False where two would have to become one."""
        cdef Lot lot
        cdef bytes notices = self.end.notices_json
        p.lots += 1
        if p.lots > wallet_of.MAX_LOTS:
            return False
        p.first = min(p.first, self.end.day)
        self._change(self.end.due + key, b"[]")
        given = self.end.notices
        if self.end.first_notice <= self.event.recorded_at.micros:
            now = moment_in(&self.event.recorded_at)
            given = wallet_of.notices(self.event.rule.wallet.wallet, self.end.moment, now)
            notices = json_of(given)
        if given:
            self._change(due_key(given[0].at, b"i" + key[1:]), b"[]")
        lot.points = points
        point_at(self.end.text, &lot.expires)
        point_at(notices, &lot.notices)
        return self._keep(key, &lot)

    cdef bint _keep(self, bytes key, Lot *lot) except -1:
        self.entries_of.set_in(self.event.lots, key, lot_entry(self.buffer, lot))
        self._show(self.end.name, self.end.place, lot.points, &lot.expires)
        return True

    cdef int _show(self, bytes name, bytes place, int64_t points, Text *expires) except -1:
        """Have a lot published, by its name and what its key ends with."""
        cdef Buffer b = self.shown
        b.put(b'{"id":"' if b.size == 0 else b',{"id":"')
        b.put(self._lot_id(name, self.event.lots + place))
        b.put(b'","points":')
        b.integer(points)
        b.put(b',"activatesAt":null,"expiresAt":')
        if expires is NULL:
            b.put(b"null")
        else:
            b.text(expires)
        return b.put(b"}")

    cdef bytes _lot_id(self, bytes name, bytes key):
        """Return a lot's id, as ``schemas.ids.lot_id``."""
        cdef EventRule rule = self.event.rule
        cdef bytes found = _lot_ids.get(key)
        if found is None:
            if len(_lot_ids) >= CACHED:
                _lot_ids.clear()
            found = _lot_ids[key] = derived(
                b"%b:lot:%b:%b:%b" % (rule.project, self.event.member.id, name, rule.group)
            ).text
        return found


cdef bint read_lot(bytes entry, Lot *lot):
    """Read a ``wallet.Lot`` that counts, lapses and is not past its time; the texts point into it."""
    cdef Cursor c
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    return (
        take(&c, b"[") and take_total(&c, &lot.points) and lot.points < MOST_POINTS
        and take(&c, b",") and take_moment_or_null(&c, &lot.expires) and lot.expires.size > 4
        and take_word(&c, b",null,", 6) and take_list(&c, &lot.notices)
        and take_word(&c, b",false,false]", 13) and c.at == c.end
    )


cdef bint take_word(Cursor *c, const char *word, Py_ssize_t size) noexcept nogil:
    """Pass exactly this."""
    if c.end - c.at < size or memcmp(c.at, word, size) != 0:
        return False
    c.at += size
    return True


cdef bint take_list(Cursor *c, Text *out) noexcept nogil:
    """Pass a list whose texts have no brackets, with its own."""
    cdef int depth = 0
    out.at = c.at
    while c.at < c.end:
        if c.at[0] == b"[":
            depth += 1
        elif c.at[0] == b"]":
            depth -= 1
        c.at += 1
        if depth == 0:
            out.size = c.at - out.at
            return out.size > 1
    return False


cdef bint read_quoted_moment(Text *text, Moment *out) noexcept nogil:
    cdef Text inner
    inner.at, inner.size = text.at + 1, text.size - 2
    return read_moment(&inner, out)


cdef bint read_first_notice(Text *notices, Moment *out) noexcept nogil:
    """Read when the first of a lot's notices is given."""
    cdef Cursor c
    cdef int64_t days
    cdef Text at
    c.at, c.end = notices.at + 1, notices.at + notices.size
    return (
        take(&c, b"[") and take_total(&c, &days) and take(&c, b",") and take_text(&c, &at)
        and read_moment(&at, out)
    )


cdef bytes lot_entry(Buffer b, Lot *lot):
    b.put(b"[")
    b.integer(lot.points)
    b.put(b",")
    b.text(&lot.expires)
    b.put(b",null,")
    b.text(&lot.notices)
    b.put(b",false,false]")
    return b.done()

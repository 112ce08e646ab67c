"""The lots that an event's points move, as `handlers.lots` moves them where a grant is common.

It is where nothing in the lot that its points go into is past its time, and no two lots have to become
one. Points that count at once join their lot, or begin it; where all lots lapse together, the one of
before joins it as well. Points that wait join the lot, or begin one, that waits as long.
"""

cdef dict _lot_ids = {}  # (lot's key, or its family without a day) -> id


cdef struct Lot:
    int64_t points
    Text expires  # null or a text with its quotes
    Text activates  # likewise
    Text notices  # with its brackets
    bint slides
    int64_t put_off


cdef class CompiledLots(CompiledLogs):
    """Moves the lots of what a chunk's common events give."""

    cdef Buffer shown  # the lots that changed, as they are published
    cdef FastEvent event
    cdef Then end  # when its points lapse

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
        if points and not (self._count(points, p) if event.start is None else self._wait(points, p)):
            return None
        left = p.balance - p.expiring
        if left != endless or left and not p.told:
            self._show(b"endless", b"", left, NULL, NULL)
        p.told = True
        return self.shown.done()

    cdef bint _count(self, int64_t points, Purse *p) except -1:
        """Add points that count at once; False where they lapse at once, or no more lots are taken."""
        cdef WalletRule wallet = self.event.wallet
        cdef int there = 0
        p.balance += points
        if self.end.never:
            return True
        if wallet.slides:
            there = self._comes_before(p)
            if there < 0:
                return False
            if there:
                self._lapse_with_others(p)
        if self.end.odd or self.end.at.micros <= self.event.recorded_at.micros:
            return False
        p.expiring += points
        if wallet.slides and not self._slide(p, &points):
            return False
        return self._put(points, p)

    cdef bint _wait(self, int64_t points, Purse *p) except -1:
        """Add points that wait; False where no more lots are taken, or a moment is not plain."""
        cdef bytes key = self.event.lot_key, entry
        cdef Then start = self.event.start
        cdef Lot lot
        if start.odd or self.end.odd:
            return False
        if self.event.wallet.slides and not self._slide_for_waiting(p):
            return False
        self.end = self.event.end
        p.pending += points
        entry = self.read_entry(key)
        if entry is not None:
            if not read_lot(entry, &lot) or not self._join_waiting(key, &lot):
                return False
            lot.points += points
        else:
            p.lots += 1
            if p.lots > wallet_of.MAX_LOTS:
                return False
            self._change(start.due + key, b"[]")
            lot.points, lot.slides, lot.put_off = points, self.event.wallet.slides, 0
            point_at(start.text, &lot.activates)
            point_at(b"null" if self.end.never else self.end.text, &lot.expires)
            point_at(b"[]", &lot.notices)
        return self._keep(key, self.event.days, &lot)

    cdef bint _join_waiting(self, bytes key, Lot *lot) except -1:
        """Have a lot that waits count and lapse with its latest points; False where its moments are
        not plain."""
        cdef Moment was
        cdef Then start = self.event.start
        if lot.activates.size == 4 or (lot.expires.size == 4) != self.end.never:
            return False
        if not read_quoted_moment(&lot.activates, &was):
            return False
        if was.micros < start.at.micros:
            self._change(due_at(&was) + key, None)
            self._change(start.due + key, b"[]")
            point_at(start.text, &lot.activates)
        if not self.end.never:
            if not read_quoted_moment(&lot.expires, &was):
                return False
            if was.micros < self.end.at.micros:
                point_at(self.end.text, &lot.expires)
        lot.slides = lot.slides or self.event.wallet.slides
        return True

    cdef bint _slide_for_waiting(self, Purse *p) except -1:
        """Have all lots lapse not before points would that counted at once; False where that moment
        is past, or a lot's is not plain."""
        cdef int64_t points = 0
        self.end = self.event.slid
        if self.end.never:
            return True
        if self.end.odd or self.end.at.micros <= self.event.recorded_at.micros:
            return False
        cdef int there = self._comes_before(p)
        if there:
            return there > 0
        if not self._slide(p, &points):
            return False
        return points == 0 or self._put(points, p)

    cdef int _comes_before(self, Purse *p) except -2:
        """Tell whether the points' end comes before that of all lots that lapse together; below 0
        where that is not plain."""
        cdef Moment then
        if p.slides_at.size == 4:
            return 0
        if not read_quoted_moment(&p.slides_at, &then):
            return -1
        if self.end.day != p.slides_on:
            return self.end.day < p.slides_on
        return self.end.at.micros < then.micros

    cdef int _lapse_with_others(self, Purse *p) except -1:
        """Have the points lapse when all lots do that lapse together."""
        cdef Moment then
        read_quoted_moment(&p.slides_at, &then)
        self.event.end = self.end = then_at(p.slides_on, then.micros)
        self.event.go_into(self.end.days)
        return 0

    cdef bint _slide(self, Purse *p, int64_t *points) except -1:
        """Have all lots lapse when the points do, and add those of before to them; False where those
        are past their time."""
        cdef Moment was
        cdef bytes entry, key
        cdef LotDays days
        cdef Lot lot
        if p.slides_at.size > 4 and p.slides_on:
            days = lot_days(None, p.slides_on)
            key = self.event.lots + days.place
            entry = self.read_entry(key)
            if entry is None:
                read_quoted_moment(&p.slides_at, &was)
                if was.micros <= self.event.recorded_at.micros:
                    return False
            elif not read_active_lot(entry, &lot):
                return False
            elif p.slides_on != self.end.day:
                if not self._drop(key, p, &lot):
                    return False
                self._show(days.name, days.place, 0, NULL, &lot.expires)
                points[0] += lot.points
            elif points[0] == 0 and not is_bytes(&lot.expires, self.end.text):
                return False
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
        cdef bytes key = self.event.lots + self.end.days.place, entry = self.read_entry(key)
        cdef Moment was
        cdef Lot lot
        if entry is None:
            return self._begin(key, points, p)
        if not read_active_lot(entry, &lot):
            return False
        if not is_bytes(&lot.expires, self.end.text):
            if not read_quoted_moment(&lot.expires, &was):
                return False
            if was.micros < self.end.at.micros:
                self._change(due_at(&was) + key, None)
                self._change(self.end.due + key, b"[]")
                point_at(self.end.text, &lot.expires)
        lot.points += points
        return self._keep(key, self.end.days, &lot)

    cdef bint _begin(self, bytes key, int64_t points, Purse *p) except -1:
        """Begin a lot; False where two would have to become one."""
        cdef Lot lot
        cdef bytes notices
        p.lots += 1
        if p.lots > wallet_of.MAX_LOTS:
            return False
        p.first = min(p.first, self.end.day)
        self._change(self.end.due + key, b"[]")
        given, notices = self._notices()
        if given:
            self._change(due_key(given[0].at, b"i" + key[1:]), b"[]")
        lot.points, lot.slides, lot.put_off = points, False, 0
        point_at(self.end.text, &lot.expires)
        point_at(b"null", &lot.activates)
        point_at(notices, &lot.notices)
        return self._keep(key, self.end.days, &lot)

    cdef tuple _notices(self):
        """Return the notices that are to be given of a lot that begins, and their JSON."""
        cdef Then end = self.end
        wallet = self.event.wallet.wallet
        if not self.event.wallet.notifies:
            return (), b"[]"
        if end.notices is None:
            end.notices = wallet_of.notices(wallet, moment_in(&end.at), EPOCH)
            end.notices_json = json_of(end.notices)
            end.first_notice = micros_of(end.notices[0].at) if end.notices else LATEST
        if end.first_notice > self.event.recorded_at.micros:
            return end.notices, end.notices_json
        given = wallet_of.notices(wallet, moment_in(&end.at), moment_in(&self.event.recorded_at))
        return given, json_of(given)

    cdef bint _keep(self, bytes key, LotDays days, Lot *lot) except -1:
        self.entries_of.set_in(self.event.lots, key, lot_entry(self.buffer, lot))
        self._show(days.name, days.place, lot.points, &lot.activates, &lot.expires)
        return True

    cdef int _show(
        self, bytes name, bytes place, int64_t points, Text *activates, Text *expires
    ) except -1:
        """Have a lot published, by its name and what its key ends with."""
        cdef Buffer b = self.shown
        b.put(b'{"id":"' if b.size == 0 else b',{"id":"')
        b.put(self._lot_id(name, self.event.lots + place))
        b.put(b'","points":')
        b.integer(points)
        b.put(b',"activatesAt":')
        b.text_or_null(activates)
        b.put(b',"expiresAt":')
        b.text_or_null(expires)
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
    """Read a ``wallet.Lot`` that is not past its time; the texts point into it."""
    cdef Cursor c
    c.at = PyBytes_AS_STRING(entry)
    c.end = c.at + PyBytes_GET_SIZE(entry)
    if not (
        take(&c, b"[") and take_total(&c, &lot.points) and lot.points < MOST_POINTS
        and take(&c, b",") and take_moment_or_null(&c, &lot.expires)
        and take(&c, b",") and take_moment_or_null(&c, &lot.activates)
        and take(&c, b",") and take_list(&c, &lot.notices)
    ):
        return False
    lot.slides = not take_word(&c, b",false", 6)
    if lot.slides and not take_word(&c, b",true", 5):
        return False
    if not take_word(&c, b",false", 6) or not take_put_off(&c, lot):
        return False
    return take(&c, b"]") and c.at == c.end


cdef bint take_put_off(Cursor *c, Lot *lot) noexcept nogil:
    """Pass it where it is there: entries of before lots knew have none."""
    lot.put_off = 0
    return c.at >= c.end or c.at[0] != b"," or take_next(c, &lot.put_off)


cdef bint read_active_lot(bytes entry, Lot *lot):
    """Read a lot that counts and lapses, likewise."""
    return (
        read_lot(entry, lot)
        and lot.expires.size > 4 and lot.activates.size == 4 and not lot.slides
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
    b.put(b",")
    b.text(&lot.activates)
    b.put(b",")
    b.text(&lot.notices)
    b.put(b",true,false" if lot.slides else b",false,false")
    put_next(b, lot.put_off)
    b.put(b"]")
    return b.done()

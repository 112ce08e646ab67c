"""Wallets as `rules.Wallet` has them: when points count and lapse, worked out for many of them at once.

When that is, and which notices are given before, the rules of `aggregates.wallet` say. They are asked
about a quarter of an hour: mostly the same is true of all its moments.
"""

cdef int64_t MOST_QUARTERS = 4096  # of each wallet that are kept
cdef int64_t QUARTER_MICROS = period_of.QUARTER // timedelta(microseconds=1)

cdef dict _days = {}  # the local days on which a lot counts and lapses -> LotDays


cdef class LotDays:
    """The local days on which a lot begins to count and lapses, as they are written."""

    cdef bytes place  # what the lot's key ends with
    cdef bytes name  # of the lot

    def __init__(self, activates, expires):
        place = Place(activates, expires)
        self.place, self.name = lot_key(b"", place), place.name.encode()


cdef LotDays lot_days(activates, expires):
    cdef LotDays found = _days.get((activates, expires))
    if found is None:
        if len(_days) >= CACHED:
            _days.clear()
        found = _days[activates, expires] = LotDays(activates, expires)
    return found


@cython.no_gc
cdef class Then:
    """A moment and its local day: of when points begin to count, or lapse."""

    cdef bint never
    cdef bint odd  # too late to be written here
    cdef int64_t day  # an ordinal
    cdef Moment at
    cdef bytes text  # with its quotes
    cdef bytes due  # what the due-index's keys of that moment begin with
    cdef LotDays days  # of a lot that counts, and lapses then
    cdef object notices  # all that such a lot can be given, once they were asked for
    cdef bytes notices_json
    cdef int64_t first_notice  # the earliest one's moment


cdef int64_t LATEST = 1 << 62


cdef Then then_at(int64_t day, int64_t micros):
    """Return a moment on a day, by the microseconds since 1970."""
    cdef Then made = Then.__new__(Then)
    made.day = day
    made.odd = not moment_of_micros(micros, &made.at)
    if not made.odd:
        made.text = quoted_moment(&made.at)
        made.due = due_at(&made.at)
        made.days = lot_days(None, day)
    return made


cdef Then then_of(said):
    """Return what a rule said, None where it said nothing."""
    cdef Then made
    if said is None:
        made = Then.__new__(Then)
        made.never = True
        return made
    return then_at(said.day, micros_of(said.at))


@cython.no_gc
cdef class Quarter:
    """What a rule says of all moments of a quarter of an hour."""

    cdef bint steady  # whether it says the same of all
    cdef Then then  # one moment, where it is one
    cdef int64_t later  # else by how many microseconds
    cdef int64_t day


cdef Quarter quarter_of(wallet, rule, int64_t number):
    cdef Quarter made = Quarter.__new__(Quarter)
    found = wallet_of.steady(wallet, rule, number)
    made.steady = found is not None
    if found is None:
        return made
    made.day, made.later = found.day, found.later // timedelta(microseconds=1)
    if found.at is not None:
        made.then = then_at(found.day, micros_of(found.at))
    return made


cdef class WalletRule:
    """A wallet of which grants may be common. One that goes by the member's days has others for the
    zones of members."""

    cdef object wallet
    cdef bint waits
    cdef bint slides
    cdef bint caps
    cdef bint capped  # in each period
    cdef bint notifies
    cdef bint by_member
    cdef Py_ssize_t told_of_day  # how much of a moment's text tells its day
    cdef bytes group
    cdef Then never  # where points live for ever
    cdef dict ends
    cdef dict starts
    cdef dict periods
    cdef dict in_zones

    def __init__(self, wallet):
        self.wallet, self.group = wallet, wallet.group.encode()
        self.waits, self.slides = wallet.pending is not None, wallet.expiry == "sliding"
        self.caps, self.capped = wallet.caps, wallet.cap is not None
        self.notifies, self.by_member = len(wallet.notices) > 0, wallet.by_member
        # Within a minute the date is the same in every zone, in UTC within a day.
        self.told_of_day = 10 if wallet.timezone == "UTC" else 16
        self.never = then_of(None) if wallet.expiry == "none" else None
        self.ends, self.starts, self.periods, self.in_zones = {}, {}, {}, {}

    cdef WalletRule of_member(self, bytes zone):
        """Return the wallet as it is for a member with a time zone, or none (b"")."""
        cdef WalletRule found = self.in_zones.get(zone)
        if found is None:
            wallet = wallet_of.of_member(self.wallet, zone.decode() or None)
            found = self.in_zones[zone] = WalletRule(wallet)
        return found

    cdef Then start(self, Moment *at):
        """Return when points that are granted at a moment begin to count."""
        return self._said(self.starts, wallet_of.start, at)

    cdef Then end(self, Moment *at):
        """Return when points lapse that begin to count at a moment."""
        return self._said(self.ends, wallet_of.expiry, at) if self.never is None else self.never

    cdef Then _said(self, dict known, rule, Moment *at):
        cdef int64_t number = at.micros // QUARTER_MICROS
        cdef Quarter quarter = known.get(number)
        if quarter is None:
            if len(known) >= MOST_QUARTERS:
                known.clear()
            quarter = known[number] = quarter_of(self.wallet, rule, number)
        if not quarter.steady:
            return then_of(rule(self.wallet, moment_in(at)))
        if quarter.then is not None:
            return quarter.then
        return then_at(quarter.day, at.micros + quarter.later)

    cdef bytes period(self, Moment *at):
        """Return what names the period of a moment in which points are capped, and the group."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, self.told_of_day)
        cdef bytes found = self.periods.get(when)
        if found is None:
            if len(self.periods) >= MOST_QUARTERS:
                self.periods.clear()
            key = period_key(self.wallet.cap_period, self.wallet.timezone, moment_in(at))
            found = self.periods[when] = b"%b/%b" % (key.encode(), self.group)
        return found


cdef bytes due_at(Moment *at):
    """Return what the due-index's keys of a moment begin with, as ``due_key``."""
    cdef char key[9]
    cdef int64_t millis = at.micros // 1000
    cdef int place
    key[0] = b"t"
    for place in range(8):
        key[8 - place] = <char>((millis >> (8 * place)) & 0xFF)
    return PyBytes_FromStringAndSize(key, 9)

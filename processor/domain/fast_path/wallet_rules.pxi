"""Wallets as `rules.Wallet` has them: when points lapse, worked out once for all of a day.

When that is, and which notices are given before, the rules of `aggregates.wallet` say.
"""

cdef int64_t MOST_ENDS = 4096  # of each wallet that are kept


cdef class End:
    """When points lapse that are granted at a moment, as it is written wherever it stands."""

    cdef bint never
    cdef bint odd  # too late to be written here
    cdef object moment
    cdef int64_t day  # the local one, an ordinal
    cdef Moment at
    cdef bytes text  # with its quotes
    cdef bytes place  # of the lot in its family
    cdef bytes name  # of the lot
    cdef bytes due  # what the due-index's keys of that moment begin with
    cdef object notices  # all that a lot can be given
    cdef bytes notices_json
    cdef int64_t first_notice  # the earliest one's moment

    def __init__(self, wallet, expiry):
        self.never = expiry is None
        self.odd = expiry is not None and not moment_of(expiry.at, &self.at)
        if self.never or self.odd:
            return
        self.day, self.moment = expiry.day, expiry.at
        self.text = b'"%b"' % PyBytes_FromStringAndSize(self.at.text, self.at.size)
        self.place, self.name = place_of(self.day), name_of(self.day)
        self.due = due_at(&self.at)
        self.notices = wallet_of.notices(wallet, expiry.at, EPOCH)
        self.notices_json = json_of(self.notices)
        self.first_notice = micros_of(self.notices[0].at) if self.notices else LATEST


cdef int64_t LATEST = 1 << 62


cdef class WalletRule:
    """A wallet whose grants may be common: they count at once, and its days are not the member's."""

    cdef object wallet
    cdef bint slides
    cdef bint caps
    cdef bint capped  # in each period
    cdef Py_ssize_t told  # how much of a moment's text tells when what is granted then lapses
    cdef Py_ssize_t told_of_day
    cdef bytes group
    cdef dict ends
    cdef dict periods

    def __init__(self, wallet):
        self.wallet, self.group = wallet, wallet.group.encode()
        self.slides, self.caps = wallet.expiry == "sliding", wallet.caps
        self.capped = wallet.cap is not None
        # Within a minute the date is the same in every zone, in UTC within a day.
        self.told_of_day = 10 if wallet.timezone == "UTC" else 16
        exact = wallet.after is not None and wallet.after.exact
        self.told = MOMENT if exact else self.told_of_day
        self.ends, self.periods = {}, {}

    cdef End end(self, Moment *at):
        """Return when points lapse that are granted at a moment."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, min(self.told, at.size))
        cdef End found = self.ends.get(when)
        return found or self._keep(when, wallet_of.expiry(self.wallet, moment_in(at)))

    cdef End end_at(self, int64_t day, Moment *at):
        """Return the end at a moment, which lies on a local day."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, at.size)
        cdef End found = self.ends.get((day, when))
        return found or self._keep((day, when), Expiry(day, moment_in(at)))

    cdef End _keep(self, when, expiry):
        if len(self.ends) >= MOST_ENDS:
            self.ends.clear()
        made = self.ends[when] = End(self.wallet, expiry)
        return made

    cdef bytes period(self, Moment *at):
        """Return what names the period of a moment in which points are capped, and the group."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, self.told_of_day)
        cdef bytes found = self.periods.get(when)
        if found is None:
            if len(self.periods) >= MOST_ENDS:
                self.periods.clear()
            key = period_key(self.wallet.cap_period, self.wallet.timezone, moment_in(at))
            found = self.periods[when] = b"%b/%b" % (key.encode(), self.group)
        return found


cdef bint may_be_common(wallet):
    """Tell whether grants into a wallet may be common."""
    return not wallet.by_member and wallet.pending is None and wallet.timezone.isascii()


cdef bytes place_of(int64_t day):
    """Return what a lot's key ends with that counts and lapses on a day, as ``lot_key``."""
    return lot_key(b"", Place(None, day))


cdef bytes name_of(int64_t day):
    return Place(None, day).name.encode()


cdef bytes due_at(Moment *at):
    """Return what the due-index's keys of a moment begin with, as ``due_key``."""
    return b"t" + (<object>(at.micros // 1000)).to_bytes(8, "big")

# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The ordinary challenge log, compiled: nine of ten logs for a tenth of the time.

A log is ordinary where its member is known and lives, its identifier was not seen before, it asks
for no answer, is written in plain ASCII, counts in a live challenge, and neither completes it nor
reaches a milestone. Whatever else it is, `read` returns None or `step` False before anything has
changed, and the fold takes the log in Python (`processor.domain.logs`), where the rules live: this
module must only ever do the same, to the last byte. `tests/properties/test_ordinary.py` holds the
one against the other; where no C compiler was there to build this, Python does it all.

JSON is written directly, in the order of the structs of `schemas.outputs`, `challenge.Progress` and
`logged.Logged`.
"""

from hashlib import sha1

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memcpy

from msgspec.json import encode as json_of

from processor.domain.effects import Output
from processor.domain.entries import due_key, member_key
from processor.domain.period import period_end, period_key
from schemas import ids, outputs
from schemas.instants import EPOCH, parse_instant
from schemas.topics import PROGRESS_EVENTS

DEF MAX_VALUE = 4096
DEF MOMENT = 28
DEF CACHED = 65536

cdef int64_t SCALE = 1_000_000_000
cdef int64_t SAFE = 4_000_000_000_000_000_000  # with one more amount it still fits 64 bits
cdef int64_t FIRST_MILLIS = 315_532_800_000  # 1980: before, offsets had odd seconds
cdef int64_t LAST_MILLIS = 253_370_764_800_000
cdef int64_t AHEAD_MICROS = 86_400_000_000
cdef bytes NS = ids.NS.bytes
cdef str KIND = outputs.CHALLENGE_LOG_RECORDED

cdef dict _members = {}  # (project, external id) -> (member id, key)
cdef dict _projects = {}  # name -> _Project
cdef dict _rules = {}  # (project, challenge id) -> _Rule
cdef dict _progress_ids = {}  # progress key -> id


cdef struct Text:
    const char *at
    Py_ssize_t size


cdef struct Moment:
    int64_t micros
    char text[MOMENT]
    Py_ssize_t size


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


# --- reading JSON: only what is plain; anything else is 0 -----------------------------------------

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


# --- moments --------------------------------------------------------------------------------------

cdef inline int two(const char *at) noexcept nogil:
    if not (b"0" <= at[0] <= b"9" and b"0" <= at[1] <= b"9"):
        return -1
    return (at[0] - 48) * 10 + (at[1] - 48)


cdef inline int64_t days_of(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Return the days since 1970 of a date of the Gregorian calendar (H. Hinnant's algorithm)."""
    cdef int64_t era, of_era, of_year
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef inline int month_days(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


cdef inline void put_digits(char *at, int64_t value, int digits) noexcept nogil:
    while digits > 0:
        digits -= 1
        at[digits] = <char>(48 + value % 10)
        value //= 10


cdef void finish_moment(Moment *out, int micro) noexcept nogil:
    """Write a fraction where there is one, as msgspec does, and the Z."""
    out.size = 19
    if micro:
        out.text[19] = b"."
        put_digits(&out.text[20], micro, 6)
        out.size = 26
    out.text[out.size] = b"Z"
    out.size += 1


cdef bint read_moment(Text *text, Moment *out) noexcept nogil:
    """Read ``YYYY-MM-DDTHH:MM:SS[.ffffff]Z`` of the years 1980 to 9998."""
    cdef const char *t = text.at
    cdef int year, month, day, hour, minute, second, micro = 0, unit = 100_000
    cdef Py_ssize_t place
    if text.size < 20 or text.size > 27 or t[text.size - 1] != b"Z":
        return False
    if t[4] != b"-" or t[7] != b"-" or t[10] != b"T" or t[13] != b":" or t[16] != b":":
        return False
    year, month, day = two(t) * 100 + two(t + 2), two(t + 5), two(t + 8)
    hour, minute, second = two(t + 11), two(t + 14), two(t + 17)
    if two(t) < 0 or two(t + 2) < 0 or year < 1980 or year > 9998 or not 1 <= month <= 12:
        return False
    if not 1 <= day <= month_days(year, month):
        return False
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return False
    if text.size > 20:
        if t[19] != b"." or text.size == 21:
            return False
        for place in range(20, text.size - 1):
            if not b"0" <= t[place] <= b"9":
                return False
            micro += (t[place] - 48) * unit
            unit //= 10
    memcpy(out.text, t, 19)
    finish_moment(out, micro)
    out.micros = (
        ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
    ) * 1_000_000 + micro
    return True


cdef void moment_of_millis(int64_t millis, Moment *out) noexcept nogil:
    """Write the moment of a Kafka timestamp from 1980 on."""
    cdef int64_t seconds = millis // 1000, days = seconds // 86400
    cdef int64_t rest = seconds - days * 86400, z = days + 719468
    cdef int64_t era = z // 146097, of_era = z - era * 146097
    cdef int64_t year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    cdef int64_t of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef int64_t mp = (5 * of_year + 2) // 153
    cdef int64_t month = mp + 3 if mp < 10 else mp - 9
    put_digits(out.text, year_of_era + era * 400 + (month <= 2), 4)
    out.text[4] = b"-"
    put_digits(&out.text[5], month, 2)
    out.text[7] = b"-"
    put_digits(&out.text[8], of_year - (153 * mp + 2) // 5 + 1, 2)
    out.text[10] = b"T"
    put_digits(&out.text[11], rest // 3600, 2)
    out.text[13] = b":"
    put_digits(&out.text[14], rest // 60 % 60, 2)
    out.text[16] = b":"
    put_digits(&out.text[17], rest % 60, 2)
    finish_moment(out, <int>(millis % 1000) * 1000)
    out.micros = millis * 1000


# --- writing --------------------------------------------------------------------------------------

cdef class Buffer:
    """Bytes that grow."""

    cdef char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int add(self, const char *text, Py_ssize_t size) except -1:
        cdef char *grown
        if self.size + size > self.room:
            grown = <char *>PyMem_Realloc(self.data, (self.size + size) * 2 + 1024)
            if grown is NULL:
                raise MemoryError
            self.data = grown
            self.room = (self.size + size) * 2 + 1024
        memcpy(self.data + self.size, text, size)
        self.size += size
        return 0

    cdef int put(self, bytes text) except -1:
        return self.add(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int text(self, Text *text) except -1:
        return self.add(text.at, text.size)

    cdef int quoted(self, Text *text) except -1:
        self.add(b'"', 1)
        self.text(text)
        return self.add(b'"', 1)

    cdef int moment(self, Moment *moment) except -1:
        self.add(b'"', 1)
        self.add(moment.text, moment.size)
        return self.add(b'"', 1)

    cdef int integer(self, int64_t value) except -1:
        cdef char digits[24]
        cdef int place = 24
        cdef bint negative = value < 0
        if negative:
            value = -value
        while True:
            place -= 1
            digits[place] = <char>(48 + value % 10)
            value //= 10
            if value == 0:
                break
        if negative:
            place -= 1
            digits[place] = b"-"
        return self.add(&digits[place], 24 - place)

    cdef int amount(self, int64_t nanos) except -1:
        """The shortest plain number, as ``schemas.amounts.format_amount``."""
        cdef char digits[9]
        cdef int size = 9
        if nanos < 0:
            self.add(b"-", 1)
            nanos = -nanos
        self.integer(nanos // SCALE)
        nanos %= SCALE
        if nanos:
            put_digits(digits, nanos, 9)
            while digits[size - 1] == 48:
                size -= 1
            self.add(b".", 1)
            self.add(digits, size)
        return 0

    cdef bytes done(self):
        cdef bytes made = PyBytes_FromStringAndSize(self.data, self.size)
        self.size = 0
        return made


cdef bytes uuid_text(const unsigned char *raw):
    cdef char text[36]
    cdef int place = 0, byte
    for byte in range(16):
        if byte in (4, 6, 8, 10):
            text[place] = b"-"
            place += 1
        text[place] = b"0123456789abcdef"[raw[byte] >> 4]
        text[place + 1] = b"0123456789abcdef"[raw[byte] & 15]
        place += 2
    return PyBytes_FromStringAndSize(text, 36)


cdef bytes derive(bytes named):
    """Return the 16 bytes of ``uuid5(NS, named)``."""
    cdef bytes digest = sha1(NS + named).digest()
    cdef char raw[16]
    memcpy(raw, PyBytes_AS_STRING(digest), 16)
    raw[6] = <char>((raw[6] & 0x0F) | 0x50)
    raw[8] = <char>((raw[8] & 0x3F) | 0x80)
    return PyBytes_FromStringAndSize(raw, 16)


# --- definitions ----------------------------------------------------------------------------------

cdef class _Period:
    """A period of a challenge: its key, and the start of the due-index's key at its end."""

    cdef bytes key
    cdef bytes due


cdef class _Rule:
    """A challenge (``rules.Challenge``) with what is written of it made once."""

    cdef object challenge
    cdef bint usable
    cdef bint sums
    cdef bint is_utc
    cdef bytes id
    cdef bytes raw
    cdef bytes log_prefix
    cdef bytes progress_prefix
    cdef bytes envelope  # from the log's id to the member's
    cdef bytes json
    cdef bytes began  # method, period and time zone of a progress that begins
    cdef int64_t target
    cdef int64_t starts
    cdef list milestones  # of (target, live, id, json)
    cdef bytes version
    cdef dict periods

    def __init__(self, bytes project, challenge):
        self.challenge = challenge
        self.periods = {}
        self.usable = (
            challenge.live
            and challenge.ends_at is None
            and challenge.target < SAFE
            and all(m.target < SAFE for m in challenge.milestones)
            and challenge.timezone.isascii()
        )
        self.sums = challenge.method == "sum"
        self.is_utc = challenge.timezone == "UTC"
        self.id = challenge.id.encode()
        self.raw = ids.uuid_bytes(challenge.id)
        self.log_prefix = b"%b:challenge_log:%b:" % (project, self.id)
        self.progress_prefix = b"%b:challenge_progress:%b:" % (project, self.id)
        self.envelope = b'","source":"%b","type":"%b","subject":"' % (
            outputs.source_of(project.decode()).encode(), KIND.encode()
        )
        self.json = bytes(challenge.json)
        self.began = b',"in_progress","%b","%b","%b",' % (
            challenge.method.encode(), challenge.period.encode(), challenge.timezone.encode()
        )
        self.target = challenge.target if self.usable else 0
        self.starts = _NEVER if challenge.starts_at is None else _micros(challenge.starts_at)
        self.milestones = [
            (m.target, m.live, m.id.encode(), bytes(m.json)) for m in challenge.milestones
        ] if self.usable else []
        self.version = b"%d" % challenge.version

    cdef _Period period(self, Moment *at):
        """Return the period of a moment. Within a minute the date is the same in every zone."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, 10 if self.is_utc else 16)
        cdef _Period found = self.periods.get(when)
        if found is not None:
            return found
        if len(self.periods) >= CACHED:
            self.periods.clear()
        moment = parse_instant(PyBytes_FromStringAndSize(at.text, at.size).decode())
        key = period_key(self.challenge.period, self.challenge.timezone, moment)
        found = _Period()
        found.key = key.encode()
        end = period_end(self.challenge.period, self.challenge.timezone, key)
        found.due = None if end is None else due_key(end, b"")
        self.periods[when] = found
        return found


cdef int64_t _NEVER = -(1 << 62)


cdef int64_t _micros(moment):
    elapsed = moment - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


cdef _Rule _rule(object definitions, str project, str challenge_id):
    challenge = definitions.challenge(project, challenge_id)
    if challenge is None:
        return None
    cdef _Rule rule = _rules.get((project, challenge_id))
    if rule is None or rule.challenge is not challenge:
        if len(_rules) >= CACHED:
            _rules.clear()
        rule = _rules[project, challenge_id] = _Rule(project.encode(), challenge)
    return rule if rule.usable else None


# --- logs -----------------------------------------------------------------------------------------

cdef class OrdinaryLog:
    """A log that may be ordinary, as far as it can be told before the store is read."""

    cdef readonly object record
    cdef readonly bytes member_key
    cdef readonly bytes log_key
    cdef readonly bytes progress_key
    cdef bytes value  # what the texts point into
    cdef bytes project
    cdef bytes member_id
    cdef bytes log_id
    cdef _Rule rule
    cdef _Period period
    cdef Moment at
    cdef Moment recorded_at
    cdef Text activity_id
    cdef Text unique_identifier
    cdef int64_t nanos
    cdef bint has_amount


cdef struct Fields:
    Text project
    Text challenge_id
    Text owned_by_id
    Text external_id
    Text activity_at
    Text activity_id
    Text unique_identifier
    int64_t nanos
    bint has_amount


cdef bint set_text(Cursor *c, Text *field) noexcept nogil:
    """Read a field that was not there before."""
    return field.at is NULL and take_text(c, field)


cdef bint read_owner(Cursor *c, Fields *f) noexcept nogil:
    cdef Text name
    if not take(c, b"{") or not take_text(c, &name) or not is_text(&name, b"externalId", 10):
        return False
    return take(c, b":") and set_text(c, &f.external_id) and take(c, b"}")


cdef bint read_field(Cursor *c, Text *name, Fields *f) noexcept nogil:
    if is_text(name, b"challengeId", 11):
        return set_text(c, &f.challenge_id)
    if is_text(name, b"ownedBy", 7):
        return read_owner(c, f)
    if is_text(name, b"ownedById", 9):
        return set_text(c, &f.owned_by_id)
    if is_text(name, b"activityAt", 10):
        return set_text(c, &f.activity_at)
    if is_text(name, b"activityId", 10):
        return set_text(c, &f.activity_id)
    if is_text(name, b"uniqueIdentifier", 16):
        return set_text(c, &f.unique_identifier)
    if is_text(name, b"activityValue", 13):
        if f.has_amount:
            return False
        f.has_amount = True
        return take_amount(c, &f.nanos)
    if is_text(name, b"project", 7):
        return set_text(c, &f.project)
    return False


cdef bint read_fields(bytes value, Fields *f):
    cdef Cursor c
    cdef Text name
    c.at = PyBytes_AS_STRING(value)
    c.end = c.at + PyBytes_GET_SIZE(value)
    if not take(&c, b"{"):
        return False
    while True:
        if not take_text(&c, &name) or not take(&c, b":") or not read_field(&c, &name, f):
            return False
        if take(&c, b","):
            continue
        return take(&c, b"}") and c.at == c.end


cdef inline bint fits(Text *text, Py_ssize_t most) noexcept nogil:
    return text.at is not NULL and 1 <= text.size <= most


cdef inline str str_of(Text *text):
    return PyBytes_FromStringAndSize(text.at, text.size).decode("ascii")


cdef tuple member_of(str project, Fields *f):
    """Return the log's member: id, and key of its entry; None where Python must say."""
    cdef bytes named
    if (f.external_id.at is NULL) == (f.owned_by_id.at is NULL):
        return None
    if f.owned_by_id.at is not NULL:
        member = str_of(&f.owned_by_id)
        return (member.encode(), member_key(member)) if ids.is_uuid(member) else None
    if not fits(&f.external_id, 256):
        return None
    named = PyBytes_FromStringAndSize(f.external_id.at, f.external_id.size)
    found = _members.get((project, named))
    if found is None:
        if len(_members) >= CACHED:
            _members.clear()
        member = ids.member_id(project, named.decode())
        found = _members[project, named] = (member.encode(), member_key(member))
    return found


cdef bint asks_nothing(headers):
    """Tell whether headers are small, plain, and those of no request."""
    if len(headers) > 32:
        return False
    for name, value in headers:
        if not name.isascii() or len(name) > 256 or name.startswith("kafka_"):
            return False
        if value is not None and len(value) > MAX_VALUE:
            return False
    return True


cdef class CompiledLogs:
    """Steps through the ordinary logs of one chunk.

    ``entries`` and ``changed`` are the working set's; an entry that was written here lies in them
    as its JSON.
    """

    cdef object definitions
    cdef dict entries
    cdef dict changed
    cdef object effects
    cdef Buffer buffer
    cdef list sent

    def __init__(self, definitions, dict entries, dict changed, effects):
        self.definitions = definitions
        self.entries = entries
        self.changed = changed
        self.effects = effects
        self.buffer = Buffer()
        self.sent = None

    def read(self, record):
        """Return a log as far as it can be told to be ordinary, else None."""
        cdef Fields f
        cdef OrdinaryLog log
        cdef bytes value
        cdef int64_t millis
        if record.value.__class__ is not bytes:
            return None
        if record.headers and not asks_nothing(record.headers):
            return None
        key = record.key
        if key is not None and len(key) > MAX_VALUE:
            return None
        value = record.value
        millis = record.timestamp
        if len(value) > MAX_VALUE or not FIRST_MILLIS <= millis < LAST_MILLIS:
            return None
        f.project.at = f.challenge_id.at = f.owned_by_id.at = f.external_id.at = NULL
        f.activity_at.at = f.activity_id.at = f.unique_identifier.at = NULL
        f.has_amount = False
        f.nanos = 0
        if not read_fields(value, &f):
            return None
        if not (fits(&f.activity_id, 256) and fits(&f.unique_identifier, 512)):
            return None
        if f.challenge_id.at is NULL or f.activity_at.at is NULL:
            return None
        project = ids.DEFAULT_PROJECT if f.project.at is NULL else str_of(&f.project)
        rule = _rule(self.definitions, project, str_of(&f.challenge_id))
        if rule is None:
            return None
        member = member_of(project, &f)
        log = OrdinaryLog()
        if member is None or not read_moment(&f.activity_at, &log.at):
            return None
        moment_of_millis(millis, &log.recorded_at)
        if log.at.micros > log.recorded_at.micros + AHEAD_MICROS:
            return None
        log.record, log.value, log.rule = record, value, rule
        log.project = project.encode()
        log.activity_id, log.unique_identifier = f.activity_id, f.unique_identifier
        log.nanos, log.has_amount = f.nanos, f.has_amount
        return self._named(log, member)

    cdef OrdinaryLog _named(self, OrdinaryLog log, tuple member):
        """Give a log its id and the keys of its entries."""
        cdef _Rule rule = log.rule
        cdef bytes raw, identifier
        log.member_id, log.member_key = member
        identifier = PyBytes_FromStringAndSize(
            log.unique_identifier.at, log.unique_identifier.size
        )
        raw = derive(rule.log_prefix + log.member_id + b":" + identifier)
        log.log_id = uuid_text(<const unsigned char *>PyBytes_AS_STRING(raw))
        log.log_key = b"l" + raw
        log.period = rule.period(&log.at)
        log.progress_key = b"p" + log.member_key[1:] + rule.raw + log.period.key
        return log

    def step(self, OrdinaryLog log, int64_t sequence):
        """Fold a log; False, with nothing changed, where it is none for here."""
        cdef Progress progress
        cdef _Rule rule = log.rule
        cdef bytes before, upcoming
        cdef bint begins
        if self.entries.get(log.log_key, b"") is not None or not self._earns(log):
            return False
        activity_ids = rule.challenge.activity_ids
        if activity_ids is not None and str_of(&log.activity_id) not in activity_ids:
            return False
        if log.at.micros < rule.starts:
            return False
        before = self._entry(log.progress_key)
        begins = before is None
        if begins:
            if log.progress_key not in self.entries:
                return False
            self._begin(log, &progress)
        elif not read_progress(before, &progress):
            return False
        if not log.has_amount and is_text(&progress.method, b"sum", 3):
            return False
        progress.total += log.nanos if is_text(&progress.method, b"sum", 3) else SCALE
        if progress.total >= rule.target and not is_text(&progress.status, b"completed", 9):
            return False
        upcoming = None
        for target, live, id_, json in rule.milestones:
            if live and not holds(&progress.reached, id_):
                if target <= progress.total:
                    return False
                upcoming = id_
                joined = json
                break
        else:
            joined = b"null"
        if progress.started.size != log.at.size or memcmp(
            progress.started.at, log.at.text, log.at.size
        ):
            if not self._earlier(&progress.started, &log.at):
                return False
        self._write(log, &progress, begins, upcoming)
        self._announce(log, &progress, joined, sequence)
        return True

    cdef bytes _entry(self, bytes key):
        """Return an entry's JSON; None where there is none."""
        entry = self.entries.get(key)
        return entry if entry is None or entry.__class__ is bytes else json_of(entry)

    cdef bint _earns(self, OrdinaryLog log):
        """Tell whether the member is known here and lives."""
        cdef bytes entry = self._entry(log.member_key)
        cdef Cursor c
        cdef Text project, status
        cdef int64_t version
        if entry is None:
            return False
        c.at = PyBytes_AS_STRING(entry)
        c.end = c.at + PyBytes_GET_SIZE(entry)
        return (
            take(&c, b"[") and take_text(&c, &project) and is_bytes(&project, log.project)
            and take(&c, b",") and skip_text(&c)
            and take(&c, b",") and skip_text(&c)
            and take(&c, b",") and skip_text(&c)
            and take(&c, b",") and take_total(&c, &version) and version > 0
            and take(&c, b",") and take_text(&c, &status) and is_text(&status, b"live", 4)
        )

    cdef void _begin(self, OrdinaryLog log, Progress *p):
        """Set a progress to that of a challenge's first log, before it is counted."""
        cdef Cursor c
        cdef bytes began = log.rule.began
        p.total = 0
        c.at = PyBytes_AS_STRING(began)
        c.end = c.at + PyBytes_GET_SIZE(began)
        take(&c, b",")
        take_text(&c, &p.status)
        take(&c, b",")
        take_text(&c, &p.method)
        take(&c, b",")
        take_text(&c, &p.period)
        take(&c, b",")
        take_text(&c, &p.timezone)
        p.started.at, p.started.size = log.at.text, log.at.size
        p.created.at, p.created.size = log.recorded_at.text, log.recorded_at.size
        p.completed.at = p.failed.at = b"null"
        p.completed.size = p.failed.size = 4
        p.reached.at, p.reached.size = b"", 0

    cdef bint _earlier(self, Text *started, Moment *at):
        """Set a progress's start to the earlier of two moments; False where it is not plain."""
        cdef Moment begun
        if not read_moment(started, &begun):
            return False
        if at.micros < begun.micros:
            started.at, started.size = at.text, at.size
        return True

    cdef int _write(self, OrdinaryLog log, Progress *p, bint begins, bytes upcoming) except -1:
        """Set the entries: the progress, when it is due where it begins, the log."""
        cdef Buffer b = self.buffer
        cdef bytes due
        b.add(b"[", 1)
        b.integer(p.total)
        b.add(b",", 1)
        b.quoted(&p.status)
        b.add(b",", 1)
        b.quoted(&p.method)
        b.add(b",", 1)
        b.quoted(&p.period)
        b.add(b",", 1)
        b.quoted(&p.timezone)
        b.add(b",", 1)
        b.quoted(&p.started)
        b.add(b",", 1)
        b.text(&p.completed)
        b.add(b",", 1)
        b.text(&p.failed)
        b.add(b",", 1)
        b.quoted(&p.created)
        b.add(b",", 1)
        b.moment(&log.recorded_at)
        b.add(b",[", 2)
        b.text(&p.reached)
        b.add(b"]]", 2)
        self._set(log.progress_key, b.done())
        if begins and log.period.due is not None:
            self._set(log.period.due + log.progress_key, b"[]")
        b.add(b"[", 1)
        b.moment(&log.recorded_at)
        b.add(b",", 1)
        b.moment(&log.at)
        b.add(b",", 1)
        b.quoted(&log.activity_id)
        b.add(b',"live",', 8)
        if log.has_amount:
            b.add(b'"', 1)
            b.amount(log.nanos)
            b.add(b'","', 3)
        else:
            b.add(b'null,"', 6)
        b.put(log.period.key)
        b.add(b'",[', 3)
        b.integer(p.total)
        b.add(b",", 1)
        b.quoted(&p.status)
        b.add(b",", 1)
        b.quoted(&p.started)
        b.add(b",", 1)
        b.text(&p.completed)
        b.add(b",", 1)
        b.text(&p.failed)
        b.add(b",", 1)
        b.moment(&log.recorded_at)
        b.add(b"],[],", 5)
        if upcoming is None:
            b.add(b"null]", 5)
        else:
            b.add(b'"', 1)
            b.put(upcoming)
            b.add(b'"]', 2)
        self._set(log.log_key, b.done())
        return 0

    cdef void _set(self, bytes key, bytes entry):
        self.entries[key] = entry
        self.changed[key] = entry

    cdef int _announce(
        self, OrdinaryLog log, Progress *p, bytes upcoming, int64_t sequence
    ) except -1:
        """Put ``challenge_log.recorded`` into the effects."""
        cdef Buffer b = self.buffer
        cdef _Rule rule = log.rule
        cdef char digits[20]
        put_digits(digits, sequence, 20)
        b.put(b'{"specversion":"1.0","id":"')
        b.put(log.log_id)
        b.put(rule.envelope)
        b.put(log.member_id)
        b.put(b'","time":')
        b.moment(&log.at)
        b.put(b',"datacontenttype":"application/json","sequence":"')
        b.add(digits, 20)
        b.put(b'","data":{"id":"')
        b.put(log.log_id)
        b.put(b'","challengeId":"')
        b.put(rule.id)
        b.put(b'","ownedById":"')
        b.put(log.member_id)
        b.put(b'","activityAt":')
        b.moment(&log.at)
        b.put(b',"activityId":')
        b.quoted(&log.activity_id)
        b.put(b',"uniqueIdentifier":')
        b.quoted(&log.unique_identifier)
        b.put(b',"activityValue":')
        if log.has_amount:
            b.amount(log.nanos)
        else:
            b.put(b"null")
        b.put(b',"status":"live","createdAt":')
        b.moment(&log.recorded_at)
        b.put(b',"challenge":')
        b.put(rule.json)
        b.put(b',"challengeProgress":')
        self._progress_record(log, p)
        b.put(b',"achievedMilestone":null,"nextMilestone":')
        b.put(upcoming)
        b.put(
            b',"achievedMilestoneRewardLog":null,"achievedMilestones":[]'
            b',"achievedMilestoneRewardLogs":[],"definitionVersion":'
        )
        b.put(rule.version)
        b.put(b"}}")
        made = b.done()
        if self.sent is None:
            self.sent = self.effects.outputs.setdefault(PROGRESS_EVENTS, [])
        self.sent.append(Output(log.member_id, made))
        self.effects.size += len(made)
        return 0

    cdef int _progress_record(self, OrdinaryLog log, Progress *p) except -1:
        cdef Buffer b = self.buffer
        cdef _Rule rule = log.rule
        cdef bytes id_ = _progress_ids.get(log.progress_key)
        cdef bytes raw
        if id_ is None:
            if len(_progress_ids) >= CACHED:
                _progress_ids.clear()
            raw = derive(rule.progress_prefix + log.member_id + b":" + log.period.key)
            id_ = uuid_text(<const unsigned char *>PyBytes_AS_STRING(raw))
            _progress_ids[log.progress_key] = id_
        b.put(b'{"id":"')
        b.put(id_)
        b.put(b'","challengeId":"')
        b.put(rule.id)
        b.put(b'","ownedById":"')
        b.put(log.member_id)
        b.put(b'","periodKey":"')
        b.put(log.period.key)
        b.put(b'","aggregationMethod":')
        b.quoted(&p.method)
        b.put(b',"aggregationPeriod":')
        b.quoted(&p.period)
        b.put(b',"timezone":')
        b.quoted(&p.timezone)
        b.put(b',"currentProgressValue":')
        b.amount(p.total if p.total > 0 else 0)
        b.put(b',"challengeProgressStatus":')
        b.quoted(&p.status)
        b.put(b',"challengeStartedAt":')
        b.quoted(&p.started)
        b.put(b',"challengeCompletedAt":')
        b.text(&p.completed)
        b.put(b',"challengeFailedAt":')
        b.text(&p.failed)
        b.put(b',"createdAt":')
        b.quoted(&p.created)
        b.put(b',"updatedAt":')
        b.moment(&log.recorded_at)
        return b.put(b"}")


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
    """Read a ``challenge.Progress`` whose texts are plain; they point into the entry."""
    cdef Cursor c
    cdef Text updated
    cdef const char *end
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
    if end is NULL or memchr(c.at, b"\\", c.end - c.at) is not NULL:
        return False
    p.reached.at, p.reached.size = c.at, end - c.at
    return True


cdef bint holds(Text *reached, bytes id_):
    """Tell whether an id is among the quoted ones of a list. Ids are UUIDs."""
    cdef const char *wanted = PyBytes_AS_STRING(id_)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(id_), place = 1
    while place + size < reached.size:
        if memcmp(reached.at + place, wanted, size) == 0:
            return True
        place += size + 3
    return False

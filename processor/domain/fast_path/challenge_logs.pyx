# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The fast path for common challenge logs: most logs, for a fifth of the time.

A log is common where its member lives, or is seen for the first time with nothing but its id; it
asks for no answer, is written in plain ASCII, counts in a live challenge without an end, and moves no
points. A repeated one is common too: it changes nothing. For any other, `read` and `feed` return None or `step`
False before anything has changed, and Python folds the log. The rules are in `aggregates.challenge`,
`aggregates.milestone` and `handlers.challenge_logs`: this module must do the same to the last byte.
`tests/properties/test_fast_path.py` and `tests/spec.py` compare the two, `contract.py` has the
fields that are known here.
"""

from datetime import timedelta
from hashlib import sha1

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    datetime_day, datetime_hour, datetime_microsecond, datetime_minute, datetime_month,
    datetime_second, datetime_year,
)
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from msgspec import Raw
from msgspec.json import encode as json_of

from processor.domain.aggregates import period as period_of, wallet as wallet_of
from processor.domain.aggregates.challenge import mark_of_challenge
from processor.domain.aggregates.event import (
    LimitUsage, check_metadata, decide, decode_metadata, value_for,
)
from processor.domain.aggregates.period import local_date, local_hour, period_end, period_key
from processor.domain.aggregates.points import Purse as Owned
from processor.domain.aggregates.streak import likely_key
from processor.domain.aggregates.wallet import Place
from processor.domain.effects import Output, TooMuch
from processor.domain.inputs import Refused
from processor.domain.state_kinds import due_key, lot_key, member_key, streak_key
from processor.domain.working_set import UNREAD
from schemas import event_types, ids, outputs
from schemas.dry_runs import DRY_RUN
from schemas.instants import EPOCH, parse_instant
from schemas.topics import (
    CHALLENGE_LOGS, EVENT_RESULTS, EVENTS, MAX_VALUE_BYTES, MEMBER_EVENTS, MILESTONE_EVENTS,
    POINTS_EVENTS, PROGRESS_EVENTS, REWARD_EVENTS,
)

DEF MAX_VALUE = 4096
DEF MAX_ENTRY = 65536
DEF SMALL = 65536  # what every topic takes, and every input may lead to
DEF MOMENT = 28
DEF CACHED = 65536

cdef int64_t SCALE = 1_000_000_000
cdef int64_t SAFE = 4_000_000_000_000_000_000  # with one more amount it still fits 64 bits
cdef int64_t FIRST_MILLIS = 315_532_800_000  # 1980: before, offsets had odd seconds
cdef int64_t LAST_MILLIS = 253_370_764_800_000
cdef int64_t AHEAD_MICROS = 86_400_000_000

include "plain_json.pxi"
include "moments.pxi"
include "json_buffer.pxi"
include "ids.pxi"
include "rules.pxi"
include "reading.pxi"
include "progress.pxi"
include "purses.pxi"
include "wallet_rules.pxi"

cdef bytes EVENTS_TOPIC = EVENTS.encode()
cdef dict NO_METADATA = {}

cdef dict _members = {}  # what names a member -> Member
cdef dict _progress_ids = {}  # progress key -> id


@cython.no_gc
cdef class Member:
    """A member's id, and the key of its entry."""

    cdef bytes id
    cdef bytes key
    cdef bytes zone  # as it was when it was looked at last


@cython.no_gc
@cython.freelist(64)
cdef class FastLog:
    """A log that may be common, as far as that shows before the store is read."""

    cdef readonly object record
    cdef readonly tuple keys  # of the entries that tell whether it is common
    cdef bytes member_key
    cdef bytes log_key
    cdef bytes progress_key
    cdef object value  # what the texts point into
    cdef bint fed  # by an event
    cdef bint odd  # its amount is not plain
    cdef bytes member_id
    cdef Id id
    cdef Rule rule
    cdef Period period
    cdef Moment at
    cdef Moment recorded_at
    cdef Text activity_id
    cdef Text unique_identifier
    cdef Text external_id
    cdef int64_t nanos
    cdef bint has_amount
    cdef list granted  # what it reaches
    cdef Step upcoming

    cdef bytes progress_id(self):
        """Return the id of the progress that it counts in."""
        cdef bytes found = _progress_ids.get(self.progress_key)
        if found is None:
            if len(_progress_ids) >= CACHED:
                _progress_ids.clear()
            found = _progress_ids[self.progress_key] = derived(
                b"%b:challenge_progress:%b:%b:%b"
                % (self.rule.project, self.rule.id, self.member_id, self.period.key)
            ).text
        return found

    cdef bytes of_milestone(self, bytes kind, Step milestone):
        """Return the name from which an id of a milestone's is derived."""
        return b"%b:%b:%b:%b:%b" % (
            self.rule.project, kind, milestone.id, self.member_id, self.period.key
        )


cdef Member member_of(bytes project, bytes named, bint by_id):
    """Return a member by what names it, its id or its external one; None where that is neither."""
    key = (project, named, by_id)
    cdef Member member = _members.get(key)
    if member is None:
        if by_id and not ids.is_uuid(named.decode()) or not 1 <= len(named) <= 256:
            return None
        if len(_members) >= CACHED:
            _members.clear()
        member = _members[key] = Member()
        text = named.decode() if by_id else ids.member_id(project.decode(), named.decode())
        member.id, member.key, member.zone = text.encode(), member_key(text), b""
    return member


include "announcing.pxi"


cdef class CompiledLogs:
    """Folds the common logs of one chunk.

    An entry that was written here lies in the working set as its JSON. What a log of an event leads
    to can be taken back, as in Python.
    """

    cdef object definitions
    cdef object effects
    cdef object entries_of  # the working set
    cdef object python  # for what it does of an event
    cdef str user_group  # of the event that was judged last
    cdef list before
    cdef list added
    cdef dict outputs
    cdef dict entries
    cdef dict changed
    cdef dict rules
    cdef list sent
    cdef Buffer buffer
    cdef uint32_t partition
    cdef uint32_t partitions

    def __init__(self, place, definitions, entries, effects):
        self.partition = place.partition
        self.partitions = place.partitions
        self.definitions = definitions
        self.effects = effects
        self.entries_of = entries
        self.entries, self.changed, self.before = entries.entries, entries.changed, entries.before
        self.outputs, self.added = effects.outputs, effects.added
        self.rules = {}
        self.buffer = Buffer()
        self.sent = None

    cdef FastLog read_log(self, record):
        """Return a log that may be common, else None."""
        cdef Fields f
        cdef FastLog log
        value, key, headers = record.value, record.key, record.headers
        cdef int64_t millis = record.timestamp
        if value.__class__ is not bytes or len(<bytes>value) > MAX_VALUE:
            return None
        if key is not None and len(key) > MAX_VALUE or headers and not asks_nothing(headers):
            return None
        if not FIRST_MILLIS <= millis < LAST_MILLIS or not read_fields(<bytes>value, &f):
            return None
        log = FastLog()
        if not read_moment(&f.activity_at, &log.at):
            return None
        moment_of_millis(millis, &log.recorded_at)
        if log.at.micros > log.recorded_at.micros + AHEAD_MICROS:
            return None
        log.rule = self._rule(&f)
        if log.rule is None or not self._owned(log, &f):
            return None
        log.record, log.value = record, value
        log.activity_id, log.unique_identifier = f.activity_id, f.unique_identifier
        log.external_id, log.nanos, log.has_amount = f.external_id, f.nanos, f.has_amount
        self._name(log)
        log.keys = log.member_key, log.log_key, log.progress_key
        return log

    def feed(self, record, str project, str member_id, int64_t timestamp):
        """Return a log that an event feeds, where it may be common, else None."""
        cdef FastLog log = FastLog()
        cdef bytes amount = bytes(record.activity_value)
        if not FIRST_MILLIS <= timestamp < LAST_MILLIS or not moment_of(record.activity_at, &log.at):
            return None
        if amount and not read_amount(amount, &log.nanos):
            return None
        log.value = event_id, log_id = record.activity_id.encode(), record.unique_identifier.encode()
        if not text_of(event_id, &log.activity_id) or not text_of(log_id, &log.unique_identifier):
            return None
        log.rule = self._rule_of((project, record.challenge_id), project, record.challenge_id)
        if log.rule is None:
            return None
        moment_of_millis(timestamp, &log.recorded_at)
        log.member_id, log.member_key = member_id.encode(), member_key(member_id)
        log.has_amount = len(amount) > 0
        log.fed = True
        self._name(log)
        log.keys = log.log_key, log.progress_key
        return log

    cdef Rule _rule(self, Fields *f):
        """Return a log's challenge, None where its logs are not common."""
        cdef bytes challenge_id = bytes_of(&f.challenge_id)
        cdef bytes project = b"" if f.project.at is NULL else bytes_of(&f.project)
        named = challenge_id if f.project.at is NULL else (project, challenge_id)
        name = ids.DEFAULT_PROJECT if f.project.at is NULL else project.decode()
        return self._rule_of(named, name, challenge_id.decode())

    cdef Rule _rule_of(self, named, str project, str challenge_id):
        found = self.rules.get(named, self)
        if found is self:
            found = self.rules[named] = rule_of(self.definitions, project, challenge_id)
        return found

    cdef bint _owned(self, FastLog log, Fields *f) except -1:
        """Set the log's member; False where Python must say whose it is."""
        cdef bint by_id = f.external_id.at is NULL
        cdef bytes named = bytes_of(&f.owned_by_id if by_id else &f.external_id)
        cdef Member member = member_of(log.rule.project, named, by_id)
        if member is None:
            return False
        log.member_id, log.member_key = member.id, member.key
        return True

    cdef int _name(self, FastLog log) except -1:
        """Give a log its id and the keys of its entries."""
        cdef Buffer b = self.buffer
        cdef Rule rule = log.rule
        b.put(rule.project)
        b.put(b":challenge_log:")
        b.put(rule.id)
        b.put(b":")
        b.put(log.member_id)
        b.put(b":")
        b.text(&log.unique_identifier)
        log.id = derived(b.done())
        log.log_key = b"l" + log.id.raw
        log.period = rule.period(&log.at)
        b.put(b"p")
        b.add(PyBytes_AS_STRING(log.member_key) + 1, 16)
        b.put(rule.raw)
        b.put(log.period.key)
        log.progress_key = b.done()
        return 0

    cdef bint fold(self, FastLog log, int64_t sequence) except -1:
        """Fold a log; False, with nothing changed, where it is none for here."""
        cdef Progress p
        cdef Rule rule = log.rule
        cdef bytes entry
        cdef bint begins, completes, sums, is_new
        if self.entries.get(log.log_key, log) is not None:
            return self._repeats(log)
        if log.odd or not self._is_counted(log):
            return False
        is_new = not log.fed and self.entries.get(log.member_key, log) is None
        if not (log.fed or (self._is_welcome(log) if is_new else self._lives(log))):
            return False
        if log.progress_key not in self.entries:
            return False
        entry = self._entry(log.progress_key)
        begins = entry is None
        if begins:
            begin_progress(rule.began, &log.at, &log.recorded_at, &p)
        elif not read_progress(entry, &p) or not start_by(&p, &log.at):
            return False
        sums = is_text(&p.method, b"sum", 3)
        if sums and not log.has_amount:
            return False
        if sums != rule.sums:  # Python keeps apart what the challenge's method would make of it
            return False
        p.total += log.nanos if sums else SCALE
        completes = p.total >= rule.target and not is_text(&p.status, b"completed", 9)
        if completes and rule.has_points and (not log.fed or self.python is None):
            return False
        if not self._reaches(log, &p):
            return False
        if completes:
            self.buffer.moment(&log.at)
            at = self.buffer.done()
            p.status.at, p.status.size = b"completed", 9
            p.completed.at, p.completed.size = PyBytes_AS_STRING(at), PyBytes_GET_SIZE(at)
            p.failed.at, p.failed.size = b"null", 4
        if is_new:
            self._set(log, log.member_key, member_entry(self.buffer, log))
            self.effects.put(MEMBER_EVENTS, log.member_id, upserted(self.buffer, log, sequence))
        self._write(log, &p, begins and not completes)
        self._announce(log, &p, sequence)
        if completes or log.granted:
            self._announce_decided(log, &p, completes, sequence)
        return True

    cdef bint _repeats(self, FastLog log) except -1:
        """Count a log that was seen before; False where it may not have been, or not here."""
        if log.log_key not in self.entries or self.entries.get(log.member_key) is None:
            return False
        self.effects.count("duplicates")
        return True

    cdef bint _is_counted(self, FastLog log) except -1:
        """Tell whether a live member's log is aggregated; the challenge is live and has no end."""
        cdef Rule rule = log.rule
        if log.at.micros < rule.starts:
            return False
        activity_ids = rule.activity_ids
        return activity_ids is None or bytes_of(&log.activity_id).decode() in activity_ids

    cdef bytes _entry(self, bytes key):
        """Return an entry's JSON; None where there is none."""
        entry = self.entries.get(key)
        return entry if entry is None or entry.__class__ is bytes else json_of(entry)

    cdef bint _lives(self, FastLog log) except -1:
        cdef bytes entry = self._entry(log.member_key) if log.member_key in self.entries else None
        return entry is not None and is_live_member(entry, log.rule.project)

    cdef bint _is_welcome(self, FastLog log) except -1:
        """Tell whether a member that is not known can be made here: by name, and at home."""
        if log.external_id.at is NULL or self._was_given(b"k" + log.member_key[1:]):
            return False  # the second: records wait for it
        return (murmur2(log.member_id) & 0x7FFFFFFF) % self.partitions == self.partition

    cdef bint _reaches(self, FastLog log, Progress *p) except -1:
        """Set the milestones that a log reaches, with their rewards, and the next one.

        False where one of them gives points, or was given in this period before.
        """
        cdef Step milestone
        cdef Granted one
        log.granted = []
        for milestone in log.rule.milestones:
            if not milestone.live or holds(&p.reached, milestone.id):
                continue
            if milestone.target > p.total:
                log.upcoming = milestone
                break
            if milestone.has_points:
                return False
            one = Granted()
            one.milestone = milestone
            one.reward = derived(log.of_milestone(b"reward_log", milestone))
            if self._was_given(b"r" + one.reward.raw):
                return False
            one.record = reward_record(self.buffer, log, milestone, one.reward)
            log.granted.append(one)
        return True

    cdef bint _was_given(self, bytes key) except -1:
        if key not in self.entries:
            self.entries[key] = self.entries_of.load([key])[0]
        return self.entries[key] is not None

    cdef int _set(self, FastLog log, bytes key, bytes entry) except -1:
        if log.fed:
            self._change(key, entry)
        else:
            self.entries[key] = entry
            self.changed[key] = entry
        return 0

    cdef int _change(self, bytes key, bytes entry) except -1:
        """Set an entry that can be taken back, as ``WorkingSet.change``."""
        self.before.append((key, self.entries.get(key, UNREAD), self.changed.get(key, UNREAD)))
        self.entries[key] = entry
        self.changed[key] = entry
        return 0

    cdef int _add(self, str topic, bytes key, bytes value) except -1:
        """Add an output that can be taken back, as ``Effects.add``."""
        cdef int64_t size = self.effects.size, own = PyBytes_GET_SIZE(value)
        if size - <int64_t>self.effects.size_before + own > SMALL:
            self.effects.add(topic, key, value)
            return 0
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        self.added.append(topic)
        (<list>outputs).append(Output(key, value))
        self.effects.size = size + own
        return 0

    cdef int _write(self, FastLog log, Progress *p, bint waits) except -1:
        """Set the entries; ``waits`` for its period's end where the progress begins."""
        cdef Granted each
        for each in log.granted:
            self._set(log, b"r" + each.reward.raw, reward_entry(self.buffer, log, each.milestone))
        cdef Py_ssize_t reached = count_of(&p.reached) + len(log.granted)
        if reached and log.progress_key not in self.changed:
            self.entries_of.widen(reached)
        self._set(log, log.progress_key, progress_entry(self.buffer, log, p))
        if waits and log.period.due is not None:
            self._set(log, log.period.due + log.progress_key, b"[]")
        return self._set(log, log.log_key, log_entry(self.buffer, log, p))

    cdef int _announce(self, FastLog log, Progress *p, int64_t sequence) except -1:
        cdef bytes made = recorded(self.buffer, log, p, sequence)
        if log.fed:
            return self._add(PROGRESS_EVENTS, log.member_id, made)
        if self.sent is None:
            self.sent = self.effects.outputs.setdefault(PROGRESS_EVENTS, [])
        self.sent.append(Output(log.member_id, made))
        self.effects.size += len(made)
        return 0

    cdef int _give(self, FastLog log) except -1:
        """Have Python give the points of a challenge that an event completed."""
        self.python.give((
            log.rule.challenge, log.rule.project.decode(), log.member_id.decode(),
            log.recorded_at.micros // 1000, log.progress_id().decode(), moment_in(&log.at),
        ))
        return 0

    cdef int _announce_decided(
        self, FastLog log, Progress *p, bint completes, int64_t sequence
    ) except -1:
        cdef Granted each
        cdef Buffer b = self.buffer
        put = self.effects.add if log.fed else self.effects.put
        if completes:
            put(PROGRESS_EVENTS, log.member_id, completed(b, log, p, sequence))
            if log.rule.has_points:
                self._give(log)
        for each in log.granted:
            put(MILESTONE_EVENTS, log.member_id, reached(b, log, p, each.milestone, sequence))
            put(REWARD_EVENTS, log.member_id, rewarded(b, log, each, sequence))
        return 0


include "event_rules.pxi"
include "event_reading.pxi"
include "events.pxi"

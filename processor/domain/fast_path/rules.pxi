"""Challenges as `rules.Challenge` has them, with all that is written of each made once."""


DEF PERIODS = 256  # of each challenge, by the minute: what comes together lies close together


cdef class Period:
    """A period of a challenge: its key, and the start of the due-index's key at its end."""

    cdef bytes key
    cdef bytes due


cdef class Step:
    """A milestone of a challenge (`rules.Milestone`)."""

    cdef int64_t target
    cdef bint live
    cdef bint has_points
    cdef bytes id
    cdef bytes json
    cdef bytes version

    def __init__(self, milestone):
        self.target = milestone.target
        self.live = milestone.live
        self.has_points = milestone.points != 0
        self.id = milestone.id.encode()
        self.json = bytes(milestone.json)
        self.version = b"%d" % milestone.version


cdef class Rule:
    """A challenge that common logs may count in."""

    cdef object challenge
    cdef object activity_ids
    cdef bint has_points
    cdef bint sums
    cdef bytes project
    cdef bytes source
    cdef bytes id
    cdef bytes raw
    cdef bytes raw_json
    cdef bytes mark  # what it has of a log's mark
    cdef bytes json
    cdef bytes version
    cdef bytes began  # the texts of a progress that begins
    cdef int64_t target
    cdef int64_t starts
    cdef list milestones
    cdef bint fits  # whether a log that reaches all milestones leads to records that topics take
    cdef Py_ssize_t told  # how much of a moment's text tells its period
    cdef dict periods

    def __init__(self, bytes project, challenge):
        self.challenge = challenge
        self.activity_ids = challenge.activity_ids
        self.has_points = challenge.points != 0
        self.sums = challenge.method == "sum"
        self.project = project
        self.source = outputs.source_of(project.decode()).encode()
        self.id = challenge.id.encode()
        self.raw = ids.uuid_bytes(challenge.id)
        self.raw_json = json_of(self.raw)
        self.mark = mark_of_challenge(challenge.id).encode()
        self.json = bytes(challenge.json)
        self.version = b"%d" % challenge.version
        self.began = b'"in_progress","%b","%b","%b"' % (
            challenge.method.encode(), challenge.period.encode(), challenge.timezone.encode()
        )
        self.target = challenge.target
        self.starts = EARLIEST if challenge.starts_at is None else micros_of(challenge.starts_at)
        self.milestones = [Step(milestone) for milestone in challenge.milestones]
        # A log's record has each milestone twice, beside up to 1,000 bytes of a reward's own.
        self.fits = len(self.json) + sum(
            2 * len(bytes(milestone.json)) + 1000 for milestone in challenge.milestones
        ) < MAX_VALUE_BYTES - 2 * MAX_VALUE
        # Within a minute the date is the same in every zone, in UTC within a day.
        self.told = 10 if challenge.timezone == "UTC" else 16
        self.periods = {}

    cdef Period period(self, Moment *at):
        """Return the period of a moment."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, self.told)
        cdef Period found = self.periods.get(when)
        if found is not None:
            return found
        if len(self.periods) >= PERIODS:
            self.periods.clear()
        moment = parse_instant(PyBytes_FromStringAndSize(at.text, at.size).decode())
        key = period_key(self.challenge.period, self.challenge.timezone, moment)
        found = Period()
        found.key = key.encode()
        end = period_end(self.challenge.period, self.challenge.timezone, key)
        found.due = None if end is None else due_key(end, b"")
        self.periods[when] = found
        return found


cdef int64_t EARLIEST = -(1 << 62)
cdef dict _rules = {}  # (project, challenge id) -> Rule


cdef int64_t micros_of(moment):
    elapsed = moment - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


cdef bint may_count(challenge):
    """Tell whether a challenge's logs may be common."""
    return (
        challenge.live
        and challenge.ends_at is None  # each log would look at when that is
        and not challenge.by_member  # whose zone is not known before the store is read
        and challenge.target < SAFE
        and all(milestone.target < SAFE for milestone in challenge.milestones)
        and challenge.timezone.isascii()
    )


cdef Rule rule_of(definitions, str project, str challenge_id):
    """Return a challenge in force; None where its logs are not common."""
    if project in definitions.clocks:  # members may go by its own clock
        return None
    challenge = definitions.challenge(project, challenge_id)
    if challenge is None or not may_count(challenge):
        return None
    if definitions.judges(project, challenge_id):  # a tier goes by what is counted
        return None
    cdef Rule rule = _rules.get((project, challenge_id))
    if rule is None or rule.challenge is not challenge:
        if len(_rules) >= CACHED:
            _rules.clear()
        rule = _rules[project, challenge_id] = Rule(project.encode(), challenge)
    return rule if rule.fits else None

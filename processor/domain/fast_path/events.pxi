"""The fast path for common events: what is judged is judged by the rules in Python, and what comes of
it is written here.

An event is common where its member lives, it asks for no answer and is written in plain ASCII but for
its metadata, and nothing acts on it but its conditions, its limit, the challenges that it feeds, and the
wallet that its points go into.
"""


@cython.no_gc
@cython.freelist(64)
cdef class FastEvent:
    """An event that may be common, as far as that shows before the store is read."""

    cdef readonly object record
    cdef readonly list keys
    cdef object value  # what the texts point into
    cdef EventRule rule
    cdef Member member
    cdef Id id
    cdef bytes answer_key  # None without an idempotency key
    cdef Id entry  # of the points ledger
    cdef bytes balances_key
    cdef bytes balances  # as they were read
    cdef WalletRule wallet  # that its points go into; None where they live for ever
    cdef Then start  # when they begin to count; None where they do with it
    cdef Then end  # when they lapse
    cdef Then slid  # when they would, had they not to wait, where all lots lapse together
    cdef bytes lots  # what the keys of the wallet's lots begin with
    cdef LotDays days  # of the lot that they go into; None where they live for ever
    cdef bytes lot_key
    cdef bytes earned_key  # of what its period gave, where the wallet caps that
    cdef bytes cut_by
    cdef bytes used_key
    cdef object decoded  # its metadata
    cdef list logs
    cdef Moment at
    cdef Moment recorded_at
    cdef Text user_id
    cdef Text idempotency_key
    cdef Text ip
    cdef Text metadata

    cdef int go_into(self, LotDays days) except -1:
        """Have the points go into a lot."""
        self.days, self.lot_key = days, self.lots + days.place
        return 0


include "event_announcing.pxi"
include "lots.pxi"


cdef class CompiledFold(CompiledLots):
    """Folds the common logs and events of one chunk."""

    cdef bint takes_events
    cdef dict event_rules

    def __init__(self, place, definitions, entries, effects, bint takes_events):
        super().__init__(place, definitions, entries, effects)
        self.takes_events = takes_events
        self.event_rules = {}

    def read(self, str topic, record):
        """Return a log or an event that may be common, else None."""
        if topic == EVENTS:
            return self.read_event(record) if self.takes_events else None
        return self.read_log(record) if topic == CHALLENGE_LOGS else None

    def step(self, record, int64_t sequence, python=None):
        """Fold a log or event whose entries were read; False, with nothing changed, where it is none
        for here."""
        self.python = python
        try:
            if isinstance(record, FastLog):
                return self.fold(<FastLog>record, sequence)
            return self._step_event(<FastEvent?>record, sequence, python)
        finally:
            self.python = None  # it holds this one: a cycle, that the collector alone would free

    cdef bint _step_event(self, FastEvent event, int64_t sequence, python) except -1:
        self.entries_of.begin()
        self.effects.begin()
        try:
            if self.fold_event(event, sequence, python):
                return True
        except TooMuch:
            pass  # Python says so
        self.entries_of.undo()
        self.effects.undo()
        return False

    cdef FastEvent read_event(self, record):
        """Return an event that may be common, else None."""
        cdef EventFields f
        cdef FastEvent event
        cdef EventRule rule
        value, key, headers = record.value, record.key, record.headers
        cdef int64_t millis = record.timestamp
        if value.__class__ is not bytes or len(<bytes>value) > MAX_VALUE:
            return None
        if key is not None and len(key) > MAX_VALUE or headers and not asks_nothing(headers):
            return None
        if not FIRST_MILLIS <= millis < LAST_MILLIS or not read_event_fields(<bytes>value, &f):
            return None
        rule = self._event_rule(&f)
        if rule is None or f.metadata.size > rule.most:
            return None
        event = FastEvent()
        moment_of_millis(millis, &event.recorded_at)
        if f.occurred_at.at is NULL:
            event.at = event.recorded_at
        elif not read_moment(&f.occurred_at, &event.at):
            return None
        if event.at.micros > event.recorded_at.micros + AHEAD_MICROS:
            return None
        event.record, event.value, event.rule = record, value, rule
        event.user_id, event.idempotency_key, event.ip = f.user_id, f.idempotency_key, f.ip
        event.member = member_of(rule.project, bytes_of(&f.user_id), False)
        if not self._understood(event, &f):
            return None
        self._name_event(event)
        return event

    cdef EventRule _event_rule(self, EventFields *f):
        cdef bytes event_id = bytes_of(&f.event_id)
        named = event_id if f.project.at is NULL else (bytes_of(&f.project), event_id)
        found = self.event_rules.get(named, self)
        if found is self:
            project = ids.DEFAULT_PROJECT if f.project.at is NULL else bytes_of(&f.project).decode()
            found = event_rule_of(self.definitions, project, event_id.decode())
            self.event_rules[named] = found
        return found

    cdef bint _understood(self, FastEvent event, EventFields *f) except -1:
        """Decode the metadata; False where they are refused."""
        event.decoded, event.metadata = NO_METADATA, f.metadata
        try:
            if f.metadata.at is not NULL:
                event.decoded = decode_metadata(Raw(bytes_of(&f.metadata)))
            if event.rule.event.fields:
                check_metadata(event.rule.event, event.decoded)
        except Refused:
            return False
        if not event.decoded:
            event.metadata.at, event.metadata.size = b"{}", 2
        return True

    cdef int _name_event(self, FastEvent event) except -1:
        """Give an event its id and the keys of its entries, and make the logs that it feeds."""
        cdef EventRule rule = event.rule
        cdef bytes owner = event.member.key[1:], amount
        cdef FastLog log
        cdef Py_ssize_t place
        event.balances_key = b"b" + owner
        event.keys = [event.member.key, event.balances_key]
        if rule.wallet is not None:
            self._name_lots(event, self._likely_wallet(event))
            if event.lot_key is not None:
                event.keys.append(event.lot_key)
            if event.earned_key is not None:
                event.keys.append(event.earned_key)
        if event.idempotency_key.at is NULL:
            event.id = derived(
                b"%b:event:%b:%d:%d"
                % (rule.project, EVENTS_TOPIC, self.partition, event.record.offset)
            )
        else:
            event.id = derived(
                b"%b:event:%b:%b"
                % (rule.project, event.member.id, bytes_of(&event.idempotency_key))
            )
            event.answer_key = b"e" + event.id.raw
            event.keys.append(event.answer_key)
        if rule.limited:
            event.used_key = b"n" + owner + rule.period(&event.at)
            event.keys.append(event.used_key)
        if rule.streaks:
            for streak in rule.streaks:
                event.keys.append(streak_key(event.member.id.decode(), streak.id))
            for hits in rule.hit_by(&event.at):
                event.keys.append(b"S" + owner + hits)
        event.logs = []
        for place in range(len(rule.feeds)):
            value = value_for(rule.challenges[place], event.decoded)
            if value is not None:
                log = self._fed(event, <Rule>rule.feeds[place], bytes(value))
                event.logs.append(log)
                event.keys.append(log.log_key)
                event.keys.append(log.progress_key)
        return 0

    cdef int _name_lots(self, FastEvent event, WalletRule wallet) except -1:
        """Give an event the keys of where its points lie in a wallet."""
        cdef bytes owner = event.member.key[1:]
        cdef Then start = wallet.start(&event.at) if wallet.waits else None
        cdef bint begun = start is None or start.never
        event.wallet, event.start, event.days, event.lot_key = wallet, start, None, None
        event.lots = b"c%b%b\0" % (owner, wallet.group)
        if begun or not start.odd and start.at.micros <= event.recorded_at.micros:
            event.start, event.end = None, wallet.end(&event.at if begun else &start.at)
            if event.end.days is not None:
                event.go_into(event.end.days)
        elif start.odd:
            event.end = start
        else:
            event.end = wallet.end(&start.at)
            event.slid = wallet.end(&event.at) if wallet.slides else None
            event.go_into(lot_days(start.day, None if event.end.never else event.end.day))
        if wallet.capped:
            event.earned_key = b"u" + owner + wallet.period(&event.at)
        return 0

    cdef WalletRule _likely_wallet(self, FastEvent event):
        """Return the wallet of an event's points; where it goes by the member's days, by those that
        the member had when it was looked at last: which entries are read ahead depends on it, and
        nothing else."""
        cdef WalletRule wallet = event.rule.wallet
        if not wallet.by_member:
            return wallet
        return wallet.of_member(event.member.zone)

    cdef bint _goes_by_member(self, FastEvent event, bytes entry) except -1:
        """Have an event go by its member's days; False where the member's zone is not plain."""
        cdef WalletRule wallet
        cdef bytes zone = zone_of(entry)
        if zone is None:
            return False
        event.member.zone = zone
        wallet = event.rule.wallet.of_member(zone)
        if wallet is not event.wallet:
            self._name_lots(event, wallet)
        return True

    cdef FastLog _fed(self, FastEvent event, Rule rule, bytes amount):
        """Return the log that an event gives a challenge; one of an amount that is not plain is none
        for here, and no entry of its progress tells."""
        cdef FastLog log = FastLog()
        log.value = event.rule.id, event.id.text
        text_of(event.rule.id, &log.activity_id)
        text_of(event.id.text, &log.unique_identifier)
        log.at, log.recorded_at, log.rule = event.at, event.recorded_at, rule
        log.member_id, log.member_key = event.member.id, event.member.key
        log.fed = log.has_amount = True
        if not amount:
            log.has_amount = False
        elif not read_amount(amount, &log.nanos):
            log.odd = True
        self._name(log)
        return log

    cdef bint fold_event(self, FastEvent event, int64_t sequence, python) except -1:
        """Fold an event; False where it is none for here."""
        cdef EventRule rule = event.rule
        cdef bytes hits = b"[]"
        cdef Judged judged
        cdef bint earns
        cdef Py_ssize_t place
        cdef bytes member = self._live_member(event)
        if member is None:
            return False
        if rule.wallet is not None and rule.wallet.by_member:
            if not self._goes_by_member(event, member):
                return False
        if event.answer_key is not None:
            if event.answer_key not in self.entries:
                return False
            if self.entries[event.answer_key] is not None:
                self.effects.count("duplicates")
                return True
        if not self._judge(event, &judged):
            return False
        earns = judged.points > 0
        if earns and not self._offer(event, &judged):
            return False
        user_group = rule.user_group(self.user_group)
        if rule.limited and judged.met and not judged.full:
            self._change(event.used_key, b"[%d]" % (judged.slots + 1))
        self._add(EVENT_RESULTS, event.member.id, logged(self.buffer, event, &judged, user_group, sequence))
        if earns and not self._give_points(event, &judged, user_group, sequence):
            return False
        if judged.met:
            if len(event.logs) < len(rule.feeds):
                self.effects.count("not_fed", len(rule.feeds) - len(event.logs))
            for place in range(len(event.logs)):
                self.python = python  # Python may have folded another log meanwhile
                if not self.fold(<FastLog>event.logs[place], sequence):
                    python.feed(event.record, place)
            if rule.streaks:
                hits = self._hit(event, python)
        if event.answer_key is not None:
            entry = answer_entry(self.buffer, event, &judged, user_group, hits)
            self.entries_of.weigh(len(entry))
            self._change(event.answer_key, entry)
        return True

    cdef bytes _hit(self, FastEvent event, python):
        """Have Python count an event for the streaks that name it; return them with their periods."""
        streaks = event.rule.streaks
        periods = python.hit((
            streaks, event.rule.project.decode(), event.member.id.decode(),
            event.recorded_at.micros // 1000, moment_in(&event.at), event.answer_key is not None,
        ))
        return json_of([(streak.id, period) for streak, period in zip(streaks, periods)])

    cdef bytes _live_member(self, FastEvent event):
        """Return the entry of an event's member, None where it does not live."""
        cdef bytes key = event.member.key
        cdef bytes entry = self._entry(key) if key in self.entries else None
        if entry is None or not is_live_member(entry, event.rule.project):
            return None
        return entry if is_named(entry, &event.user_id) else None

    cdef bint _judge(self, FastEvent event, Judged *judged) except -1:
        """Have Python judge an event; False where it refuses it, or entries were not read."""
        cdef EventRule rule = event.rule
        judged.slots = 0
        if rule.limited:
            if event.used_key not in self.entries:
                return False
            entry = self._entry(event.used_key)
            if entry is not None and not read_slots(<bytes>entry, &judged.slots):
                return False
        try:
            decided = decide(rule.event, event.decoded, LimitUsage(judged.slots), None, earns=True)
        except Refused:
            return False
        judged.points, judged.met = decided.points, decided.condition_reached
        judged.full, self.user_group = decided.limit_reached, decided.user_group
        return True

    cdef bint _offer(self, FastEvent event, Judged *judged) except -1:
        """Read what the member has, and have Python say what the wallet leaves of the points; False
        where they have lots and no wallet, or entries are not plain."""
        cdef WalletRule wallet = event.wallet
        cdef Purse *p = &judged.have.purse
        judged.cut = judged.earned = 0
        if event.balances_key not in self.entries:
            return False
        event.balances = self._entry(event.balances_key)
        if not read_balances(event.balances, event.rule.group, &judged.have):
            return False
        if wallet is None:
            return not p.told
        if wallet.capped:
            entry = self.read_entry(event.earned_key)
            if entry is not None and not read_slots(<bytes>entry, &judged.earned):
                return False
        if wallet.caps:
            owned = Owned(p.balance, pending=p.pending)
            offer = wallet_of.decide(wallet.wallet, owned, judged.earned, judged.points)
            judged.points, judged.cut = offer.points, offer.cut
            event.cut_by = None if offer.cut_by is None else offer.cut_by.encode()
        return True

    cdef bint _give_points(
        self, FastEvent event, Judged *judged, bytes user_group, int64_t sequence
    ) except -1:
        """Write an event's points; False where their lots are none for here."""
        cdef EventRule rule = event.rule
        cdef Having *have = &judged.have
        cdef bytes lots = None
        event.entry = derived(b"%b:points:event:%b" % (rule.project, event.id.text))
        if event.wallet is None:
            have.purse.balance += judged.points
        else:
            lots = self.move_lots(event, judged.points, &have.purse)
            if lots is None:
                return False
            have.whole = True
            if judged.points and event.wallet.capped:
                self._change(event.earned_key, b"[%d]" % (judged.earned + judged.points))
        have.total += judged.points if event.start is None else 0  # what waits is in no balance
        balances = balances_entry(self.buffer, event.balances, rule.group, have)
        if event.balances_key not in self.changed:
            self.entries_of.widen(have.groups)
        self._change(event.balances_key, balances)
        self._add(
            POINTS_EVENTS, event.member.id,
            granted(self.buffer, event, judged, lots, user_group, sequence),
        )
        if event.wallet is not None and judged.points:
            self._change(b"g" + event.entry.raw, granted_entry(self.buffer, event, judged.points))
        return True

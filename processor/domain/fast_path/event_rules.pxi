"""Events as `rules.Event` has them, with all that is written of each made once."""


DEF MINUTES = 4096  # of each event: what is true of a moment's minute

cdef dict _event_rules = {}  # (project, event id) -> EventRule


cdef class EventRule:
    """An event of which common ones may come. ``feeds`` are the rules of the challenges it feeds."""

    cdef object event
    cdef object challenges
    cdef list feeds
    cdef tuple streaks
    cdef WalletRule wallet  # None where its points live for ever
    cdef bytes project
    cdef bytes source
    cdef str zone
    cdef bint utc
    cdef bint limited
    cdef Py_ssize_t most  # bytes of its metadata
    cdef bytes id
    cdef bytes group
    cdef bytes kept  # what an entry says around the points
    cdef bytes kept_title
    cdef bytes did  # and of what the event did, up to its moment, and after that
    cdef bytes did_in
    cdef bytes named  # the same of its output, up to the metadata
    cdef bytes title
    cdef bytes owned
    cdef bytes action
    cdef bytes version
    cdef dict user_groups
    cdef dict periods
    cdef dict days
    cdef dict hits

    def __init__(self, str project, event, moves, list feeds, wallet, str zone, Py_ssize_t most):
        self.event, self.feeds = event, feeds
        self.wallet = None if wallet is None else WalletRule(wallet)
        self.challenges, self.streaks = moves.challenges, moves.streaks
        self.project = project.encode()
        self.source = outputs.source_of(project).encode()
        self.zone, self.utc = zone, zone == "UTC"
        self.limited, self.most = event.limit is not None, most
        self.id, self.group = event.id.encode(), event.group.encode()
        shown = (json_of(event.type), json_of(event.title), json_of(event.limit), bytes(event.maximum_json))
        self.kept = b',"%b",' % self.id
        self.kept_title = b",%b,%b,%b,%b," % shown
        self.did = b',["%b","%b",' % (self.project, self.group)
        self.did_in = b",%b," % json_of(zone)
        self.named = b',"eventId":"%b","points":' % self.id
        self.title = b',"type":%b,"title":%b,"limit":%b,"maximumReward":%b,"metadata":' % shown
        self.owned = b'","challengeGroup":"%b","idempotencyKey":' % self.group
        self.action = b'","actionId":"%b","challengeGroup":"%b","points":' % (self.id, self.group)
        self.version = b',"definitionVersion":%d' % event.version
        self.user_groups, self.periods, self.days, self.hits = {}, {}, {}, {}

    cdef goes_into(self):
        """Return the wallet that the points go into, None where there is none."""
        return None if self.wallet is None else self.wallet.wallet

    cdef bytes user_group(self, str name):
        """Return a user group's name as JSON."""
        found = self.user_groups.get(name)
        if found is None:
            found = self.user_groups[name] = json_of(name)
        return found

    cdef bytes period(self, Moment *at):
        """Return what names a slot of the limit at a moment: the period, and the event."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, 10 if self.utc else 16)
        found = self.periods.get(when)
        if found is None:
            if len(self.periods) >= MINUTES:
                self.periods.clear()
            key = period_key(self.event.limit_period, self.zone, moment_in(at))
            found = self.periods[when] = b"%b/%b" % (key.encode(), self.id)
        return found

    cdef bytes day(self, Moment *at):
        """Return the local date and hour of a moment as they stand in the output."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, 13 if self.utc else 16)
        found = self.days.get(when)
        if found is None:
            if len(self.days) >= MINUTES:
                self.days.clear()
            moment = moment_in(at)
            date = local_date(self.zone, moment).isoformat().encode()
            found = b',"localDate":"%b","localHour":%d' % (date, local_hour(self.zone, moment))
            self.days[when] = found
        return found


    cdef list hit_by(self, Moment *at):
        """Return what the keys of how many events hit the streaks' periods of a moment end with."""
        cdef bytes when = PyBytes_FromStringAndSize(at.text, 16)
        found = self.hits.get(when)
        if found is None:
            if len(self.hits) >= MINUTES:
                self.hits.clear()
            moment = moment_in(at)
            found = self.hits[when] = [
                f"{each.id}\0{likely_key(each, moment)}".encode() for each in self.streaks
            ]
        return found


cdef moment_in(Moment *at):
    return parse_instant(PyBytes_FromStringAndSize(at.text, at.size).decode())


cdef bint is_plain_text(str text):
    """Tell whether JSON writes a text as it is."""
    cdef Text found
    cdef bytes encoded = text.encode()
    return text_of(encoded, &found)


cdef EventRule event_rule_of(definitions, str project, str event_id):
    """Return an event in force; None where none of its kind are common: what goes by the member, by
    boosts or tiers, is Python's."""
    event = definitions.event(project, event_id)
    if event is None or not event.active or event.asks_member:
        return None
    if event.by_member and event.limit is not None:
        return None
    if project in definitions.clocks:  # members may go by its own clock
        return None
    subscriptions = definitions.subscribers_of(project, event_id)
    if subscriptions.boosts or definitions.tier_sets(project):  # a tier may go by any points
        return None
    wallet = definitions.wallet(project, event.group)
    if not is_plain_text(event_id) or not is_plain_text(event.group):
        return None
    cdef list feeds = [rule_of(definitions, project, each.id) for each in subscriptions.challenges]
    if None in feeds:
        return None
    cdef EventRule rule = _event_rules.get((project, event_id))
    if (
        rule is None or rule.event is not event or rule.feeds != feeds
        or rule.streaks is not subscriptions.streaks or rule.goes_into() is not wallet
    ):
        if len(_event_rules) >= CACHED:
            _event_rules.clear()
        most = definitions.limits(project).metadata_of(by_end_user=False)
        zone = definitions.timezone(project)
        rule = _event_rules[project, event_id] = EventRule(
            project, event, subscriptions, feeds, wallet, zone, most
        )
    return rule

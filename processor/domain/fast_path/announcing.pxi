"""The JSON of what a log leads to: CloudEvents, and the records and entries in them.

In the order of the fields of `schemas.outputs`, `challenge.Progress`, `logged.Logged`, `Reward` and
`Member`.
"""

cdef bytes CHALLENGE_LOG_RECORDED = event_types.CHALLENGE_LOG_RECORDED.name.encode()
cdef bytes CHALLENGE_COMPLETED = event_types.CHALLENGE_COMPLETED.name.encode()
cdef bytes MILESTONE_REACHED = event_types.MILESTONE_REACHED.name.encode()
cdef bytes REWARD_GRANTED = event_types.REWARD_GRANTED.name.encode()
cdef bytes MEMBER_UPSERTED = event_types.MEMBER_UPSERTED.name.encode()


cdef class Granted:
    """A milestone that a log reached: its reward's id, and record without the closing brace."""

    cdef Step milestone
    cdef Id reward
    cdef bytes record


cdef int put_head(
    Buffer b, FastLog log, bytes id_, bytes type_, Moment *at, int64_t sequence
) except -1:
    """Begin a log's CloudEvent, up to its data."""
    return begin_event(b, id_, log.rule.source, type_, log.member_id, at, sequence)


cdef int begin_event(
    Buffer b, bytes id_, bytes source, bytes type_, bytes subject, Moment *at, int64_t sequence
) except -1:
    """Begin a CloudEvent, up to its data."""
    cdef char digits[20]
    put_digits(digits, sequence, 20)
    b.put(b'{"specversion":"1.0","id":"')
    b.put(id_)
    b.put(b'","source":"')
    b.put(source)
    b.put(b'","type":"')
    b.put(type_)
    b.put(b'","subject":"')
    b.put(subject)
    b.put(b'","time":')
    b.moment(at)
    b.put(b',"datacontenttype":"application/json","sequence":"')
    b.add(digits, 20)
    return b.put(b'","data":')


cdef bytes event_id(FastLog log, bytes kind, bytes record_id, int version=0):
    """Return a CloudEvent's id, as ``schemas.ids.event_id``."""
    return derived(b"%b:%b:%b:%d" % (log.rule.project, kind, record_id, version)).text


cdef int put_amount(Buffer b, FastLog log) except -1:
    if log.has_amount:
        return b.amount(log.nanos)
    return b.put(b"null")


cdef int put_value(Buffer b, Progress *p) except -1:
    """Write what a member sees of a progress: never below 0."""
    return b.amount(p.total if p.total > 0 else 0)


cdef bytes recorded(Buffer b, FastLog log, Progress *p, int64_t sequence):
    """``challenge_log.recorded``."""
    cdef Rule rule = log.rule
    cdef Granted last = log.granted[len(log.granted) - 1] if log.granted else None
    put_head(b, log, log.id.text, CHALLENGE_LOG_RECORDED, &log.at, sequence)
    b.put(b'{"id":"')
    b.put(log.id.text)
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
    put_amount(b, log)
    b.put(b',"status":"live","createdAt":')
    b.moment(&log.recorded_at)
    b.put(b',"challenge":')
    b.put(rule.json)
    b.put(b',"challengeProgress":')
    put_progress(b, log, p)
    b.put(b'},"achievedMilestone":')
    b.put(b"null" if last is None else last.milestone.json)
    b.put(b',"nextMilestone":')
    b.put(b"null" if log.upcoming is None else log.upcoming.json)
    b.put(b',"achievedMilestoneRewardLog":')
    if last is None:
        b.put(b'null,"achievedMilestones":[],"achievedMilestoneRewardLogs":[]')
    else:
        put_achieved(b, last, log.granted)
    b.put(b',"definitionVersion":')
    b.put(rule.version)
    b.put(b"}}")
    return b.done()


cdef int put_achieved(Buffer b, Granted last, list granted) except -1:
    cdef Granted each
    cdef bint first = True
    b.put(last.record)
    b.put(b'},"achievedMilestones":[')
    for each in granted:
        if not first:
            b.put(b",")
        first = False
        b.put(each.milestone.json)
    b.put(b'],"achievedMilestoneRewardLogs":[')
    first = True
    for each in granted:
        if not first:
            b.put(b",")
        first = False
        b.put(each.record)
        b.put(b"}")
    return b.put(b"]")


cdef int put_progress(Buffer b, FastLog log, Progress *p) except -1:
    """Write a progress's record without the closing brace."""
    b.put(b'{"id":"')
    b.put(log.progress_id())
    b.put(b'","challengeId":"')
    b.put(log.rule.id)
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
    put_value(b, p)
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
    return b.moment(&log.recorded_at)


cdef bytes completed(Buffer b, FastLog log, Progress *p, int64_t sequence):
    """``challenge.completed``."""
    id_ = event_id(log, b"challenge.completed", log.progress_id())
    put_head(b, log, id_, CHALLENGE_COMPLETED, &log.at, sequence)
    put_progress(b, log, p)
    b.put(b',"definitionVersion":')
    b.put(log.rule.version)
    b.put(b"}}")
    return b.done()


cdef bytes reward_record(Buffer b, FastLog log, Step milestone, Id reward):
    """A new reward's record without the closing brace."""
    b.put(b'{"id":"')
    b.put(reward.text)
    b.put(b'","ownedById":"')
    b.put(log.member_id)
    b.put(b'","linkedSchemaSlug":"challenge","linkedSchemaRecordId":"')
    b.put(log.rule.id)
    b.put(b'","milestoneId":"')
    b.put(milestone.id)
    b.put(b'","periodKey":"')
    b.put(log.period.key)
    b.put(b'","couponCode":null,"rewardIssuedAt":null,"rewardExpiryAt":null,"createdAt":')
    b.moment(&log.recorded_at)
    b.put(b',"updatedAt":')
    b.moment(&log.recorded_at)
    b.put(b',"version":1,"milestone":')
    b.put(milestone.json)
    return b.done()


cdef bytes reached(Buffer b, FastLog log, Progress *p, Step milestone, int64_t sequence):
    """``milestone.reached``."""
    cdef bytes id_ = derived(log.of_milestone(b"milestone_reached", milestone)).text
    put_head(
        b, log, event_id(log, b"milestone.reached", id_), MILESTONE_REACHED, &log.at, sequence
    )
    b.put(b'{"id":"')
    b.put(id_)
    b.put(b'","ownedById":"')
    b.put(log.member_id)
    b.put(b'","milestoneId":"')
    b.put(milestone.id)
    b.put(b'","linkedSchemaSlug":"challenge","linkedSchemaRecordId":"')
    b.put(log.rule.id)
    b.put(b'","periodKey":"')
    b.put(log.period.key)
    b.put(b'","value":')
    put_value(b, p)
    b.put(b',"reachedAt":')
    b.moment(&log.at)
    b.put(b',"milestone":')
    b.put(milestone.json)
    b.put(b',"definitionVersion":')
    b.put(milestone.version)
    b.put(b"}}")
    return b.done()


cdef bytes rewarded(Buffer b, FastLog log, Granted granted, int64_t sequence):
    """``reward.granted``."""
    id_ = event_id(log, b"reward.granted", granted.reward.text)
    put_head(b, log, id_, REWARD_GRANTED, &log.at, sequence)
    b.put(granted.record)
    b.put(b',"definitionVersion":')
    b.put(granted.milestone.version)
    b.put(b"}}")
    return b.done()


cdef bytes upserted(Buffer b, FastLog log, int64_t sequence):
    """``member.upserted`` of a member of whom nothing is known but its id."""
    id_ = event_id(log, b"member.upserted", log.member_id, 1)
    put_head(b, log, id_, MEMBER_UPSERTED, &log.recorded_at, sequence)
    b.put(b'{"id":"')
    b.put(log.member_id)
    b.put(b'","externalId":')
    b.quoted(&log.external_id)
    b.put(
        b',"firstName":null,"lastName":null,"email":null,"phoneNumber":null,"telephone":null'
        b',"country":null,"city":null,"groups":[],"timezone":null,"status":"live","createdAt":'
    )
    b.moment(&log.recorded_at)
    b.put(b',"updatedAt":')
    b.moment(&log.recorded_at)
    b.put(b',"version":1}}')
    return b.done()


cdef bytes member_entry(Buffer b, FastLog log):
    b.put(b'["')
    b.put(log.rule.project)
    b.put(b'",')
    b.quoted(&log.external_id)
    b.put(b",")
    b.moment(&log.recorded_at)
    b.put(b",")
    b.moment(&log.recorded_at)
    b.put(b',1,"live",null,null,null,null,null,null,null,[],null,{}]')
    return b.done()


cdef bytes reward_entry(Buffer b, FastLog log, Step milestone):
    b.put(b'["')
    b.put(log.member_id)
    b.put(b'","challenge","')
    b.put(log.rule.id)
    b.put(b'","')
    b.put(milestone.id)
    b.put(b'","')
    b.put(log.period.key)
    b.put(b'",')
    b.moment(&log.recorded_at)
    b.put(b",")
    b.moment(&log.recorded_at)
    b.put(b",1,null,null,null,null,true]")
    return b.done()


cdef int put_reached(Buffer b, FastLog log, bint first) except -1:
    """Write the ids of what a log reaches; ``first`` where the list is empty before them."""
    cdef Granted each
    for each in log.granted:
        b.put(b'"' if first else b',"')
        first = False
        b.put(each.milestone.id)
        b.put(b'"')
    return 0


cdef bytes progress_entry(Buffer b, FastLog log, Progress *p):
    b.put(b"[")
    b.integer(p.total)
    b.put(b",")
    b.quoted(&p.status)
    b.put(b",")
    b.quoted(&p.method)
    b.put(b",")
    b.quoted(&p.period)
    b.put(b",")
    b.quoted(&p.timezone)
    b.put(b",")
    b.quoted(&p.started)
    b.put(b",")
    b.text(&p.completed)
    b.put(b",")
    b.text(&p.failed)
    b.put(b",")
    b.quoted(&p.created)
    b.put(b",")
    b.moment(&log.recorded_at)
    b.put(b",[")
    b.text(&p.reached)
    put_reached(b, log, p.reached.size == 0)
    b.put(b"],0]")
    return b.done()


cdef bytes log_entry(Buffer b, FastLog log, Progress *p):
    b.put(b"[")
    b.moment(&log.recorded_at)
    b.put(b",")
    b.moment(&log.at)
    b.put(b",")
    b.quoted(&log.activity_id)
    b.put(b',"live",')
    if log.has_amount:
        b.put(b'"')
        b.amount(log.nanos)
        b.put(b'","')
    else:
        b.put(b'null,"')
    b.put(log.period.key)
    b.put(b'",[')
    b.integer(p.total)
    b.put(b",")
    b.quoted(&p.status)
    b.put(b",")
    b.quoted(&p.started)
    b.put(b",")
    b.text(&p.completed)
    b.put(b",")
    b.text(&p.failed)
    b.put(b",")
    b.moment(&log.recorded_at)
    b.put(b"],[")
    put_reached(b, log, True)
    b.put(b"],")
    if log.upcoming is None:
        b.put(b"null")
    else:
        b.put(b'"')
        b.put(log.upcoming.id)
        b.put(b'"')
    b.put(b',5,"' if log.fed else b',1,"')  # FED and COUNTED, or COUNTED alone
    b.put(log.rule.mark)
    b.base64_of_8(PyBytes_AS_STRING(log.member_key) + 1)
    b.put(b'"]')
    return b.done()

"""Pathways in a chunk: enrolments, what members do at activities, reviews, and what follows."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain import member as member_of
from processor.domain import pathway as pathway_of
from processor.domain.cloud_events import emit
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.entries import activity_key, activity_log_key, enrolment_key
from processor.domain.fulfilment import fulfilment_json
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.member import Member
from processor.domain.milestones import Milestones, Reached
from processor.domain.pathway import Done, Enrolment, Place, Seen, Worked
from processor.domain.period import ALL_TIME
from processor.domain.rules import Activity, Pathway
from processor.domain.working_set import WorkingSet
from schemas import activity_types as types
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.event_types import (
    ACTIVITY_COMPLETED,
    ACTIVITY_PROGRESSED,
    MEMBER_ENROLLED,
    MEMBER_UNENROLLED,
    EventType,
)
from schemas.instants import from_millis
from schemas.records import (
    ActivityLog,
    Enrol,
    PathwayCommand,
    RecordError,
    ReviewActivity,
    Unenrol,
    activity_nanos,
)

Answer = Callable[[], replies.Reply]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A record's turn in a pathway: who, where, with which rules, in which place in line."""

    item: Read
    member: Member
    pathway: Pathway
    at: datetime
    sequence: int


class Pathways:
    """Steps through the activity logs and pathway commands of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet, effects: Effects) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._milestones = Milestones(entries, effects)

    def keys(self, item: Read, record: ActivityLog | PathwayCommand) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        enrolment = enrolment_key(item.member_id, record.pathway_id)
        if isinstance(record, Enrol | Unenrol):
            return (enrolment,)
        worked = activity_key(item.member_id, record.pathway_id, record.activity_id)
        if isinstance(record, ActivityLog):
            return enrolment, worked, _log_key(item, record)
        return enrolment, worked

    def step(self, item: Read, log: ActivityLog, sequence: int) -> Answer:
        """Fold one activity log; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        pathway = self._pathway(item, log.pathway_id)
        activity = _activity(pathway, log.activity_id)
        turn = Turn(item, self._member(item), pathway, from_millis(item.input.timestamp), sequence)
        not_ahead(item.input, "occurredAt", log.occurred_at)
        done = _done(log, activity, turn.at)
        if self._entries.seen(_log_key(item, log)) is not None:
            self._effects.counts["duplicates"] += 1
            return _duplicate
        before = self._entries.worked(_key(turn, activity))
        after = pathway_of.evolve(before, activity, done)
        self._entries.set_seen(_log_key(item, log), Seen())
        record = self._work(turn, activity, before, after)
        return lambda: replies.Reply(201, Raw(outputs.encode(record)))

    def command(self, item: Read, command: PathwayCommand, sequence: int) -> Answer:
        """Fold an enrolment, its end, or a review.

        Raises:
            Refused: nothing was changed.
        """
        pathway = self._pathway(item, command.pathway_id)
        turn = Turn(item, self._member(item), pathway, from_millis(item.input.timestamp), sequence)
        if isinstance(command, ReviewActivity):
            return self._review(turn, command)
        return self._enrol(turn, enrolled=isinstance(command, Enrol))

    def _enrol(self, turn: Turn, *, enrolled: bool) -> Answer:
        before = self._enrolment(turn)
        after = before
        if before.enrolled != enrolled:
            after = msgspec.structs.replace(
                before,
                enrolled=enrolled,
                enrolled_at=turn.at if enrolled else before.enrolled_at,
                version=before.version + 1,
            )
            self._set(turn, after)
        record = _enrolled(turn, after)
        if after is not before:
            event_type = MEMBER_ENROLLED if enrolled else MEMBER_UNENROLLED
            self._put(turn, event_type, record, version=after.version, at=turn.at)
            self._give(turn, after, turn.at)
        return lambda: replies.Reply(200, Raw(outputs.encode(record)))

    def _review(self, turn: Turn, command: ReviewActivity) -> Answer:
        activity = _activity(turn.pathway, command.activity_id)
        before = self._entries.worked(_key(turn, activity))
        if activity.fulfilment != types.UPLOAD_REVIEW or before is None or before.url is None:
            raise Refused(Reason.INVALID, "has no upload to be reviewed", "activityId")
        after = pathway_of.reviewed(before, approved=command.approved, at=turn.at)
        if after is before:
            record = _changed(turn, activity, self._enrolment(turn), before)
        else:
            record = self._work(turn, activity, before, after)
        return lambda: replies.Reply(200, Raw(outputs.encode(record)))

    def _work(
        self, turn: Turn, activity: Activity, before: Worked | None, after: Worked
    ) -> outputs.ActivityChanged:
        """Write down what was done, publish it, and give what it reached."""
        new = after.completed_at is not None and (before is None or before.completed_at is None)
        enrolment = self._enrolment(turn)
        enrolment = msgspec.structs.replace(
            enrolment,
            version=enrolment.version + 1,
            completed=(*enrolment.completed, activity.id) if new else enrolment.completed,
        )
        self._set(turn, enrolment)
        self._entries.set_worked(_key(turn, activity), after)
        record = _changed(turn, activity, enrolment, after)
        event_type = ACTIVITY_COMPLETED if new else ACTIVITY_PROGRESSED
        at = after.completed_at or after.touched_at
        self._put(turn, event_type, record, version=enrolment.version, at=at)
        self._give(turn, enrolment, after.timestamp)
        return record

    def _give(self, turn: Turn, enrolment: Enrolment, at: datetime) -> None:
        """Give an enrolled, live member the milestones that its completed activities reach."""
        if not enrolment.enrolled or turn.member.status != member_of.LIVE:
            return
        value, _ = pathway_of.required(turn.pathway, enrolment)
        given = enrolment.given
        for milestone in turn.pathway.milestones:
            if not milestone.live or milestone.id in given or not milestone.is_reached_by(value):
                continue
            given = (*given, milestone.id)
            reached = Reached(
                member_id=turn.item.member_id,
                slug="pathway",
                linked_id=turn.pathway.id,
                milestone=milestone,
                period_key=ALL_TIME,
                value=Raw(b"%d" % value),
                at=at,
                recorded_at=turn.at,
            )
            self._milestones.give(turn.item.project, reached, turn.sequence)
        if given is not enrolment.given:
            self._set(turn, msgspec.structs.replace(enrolment, given=given))

    def _pathway(self, item: Read, pathway_id: str) -> Pathway:
        pathway = self._definitions.pathway(item.project, pathway_id)
        if pathway is None:
            raise Refused(Reason.UNKNOWN_PATHWAY, "no such pathway", "pathwayId")
        return pathway

    def _member(self, item: Read) -> Member:
        member = self._entries.member(item.member_id)
        if not member_of.is_there(member, item.project):
            raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "userId")
        return member

    def _enrolment(self, turn: Turn) -> Enrolment:
        key = enrolment_key(turn.item.member_id, turn.pathway.id)
        return self._entries.enrolment(key) or Enrolment()

    def _set(self, turn: Turn, enrolment: Enrolment) -> None:
        self._entries.set_enrolment(enrolment_key(turn.item.member_id, turn.pathway.id), enrolment)

    def _put(
        self,
        turn: Turn,
        event_type: EventType,
        data: outputs.Enrolled | outputs.ActivityChanged,
        *,
        version: int,
        at: datetime,
    ) -> None:
        emit(
            self._effects,
            event_type,
            event_type.event_id(turn.item.project, data.id, version),
            turn.item.project,
            member_id=turn.item.member_id,
            at=at,
            data=data,
            sequence=turn.sequence,
        )


def _activity(pathway: Pathway, activity_id: str) -> Activity:
    activity = pathway.activities.get(activity_id)
    if activity is None:
        raise Refused(Reason.UNKNOWN_ACTIVITY, "the pathway has no such activity", "activityId")
    return activity


def _key(turn: Turn, activity: Activity) -> bytes:
    return activity_key(turn.item.member_id, turn.pathway.id, activity.id)


def _log_key(item: Read, log: ActivityLog) -> bytes:
    return activity_log_key(
        ids.activity_log_id(
            item.project, log.pathway_id, log.activity_id, item.member_id, log.unique_identifier
        )
    )


def _done(log: ActivityLog, activity: Activity, recorded_at: datetime) -> Done:
    """Return what a log says, as its activity needs it.

    Raises:
        Refused: a number is none, or what the activity lives by is missing.
    """
    sent = log.fulfilment
    numbers = {
        "score": sent.score,
        "value": sent.value,
        "progress": sent.progress,
    }
    try:
        nanos = {name: activity_nanos(raw, f"fulfilment.{name}") for name, raw in numbers.items()}
    except RecordError as error:
        raise Refused(Reason.INVALID, error.message, error.field) from error
    if activity.formula is not None and nanos["value"] is None:
        raise Refused(Reason.INVALID, "is required", "fulfilment.value")
    if activity.fulfilment in pathway_of.UPLOADS and sent.upload is None:
        raise Refused(Reason.INVALID, "is required", "fulfilment.upload")
    place = sent.checkin
    return Done(
        at=log.occurred_at,
        identifier=log.unique_identifier,
        recorded_at=recorded_at,
        score=nanos["score"],
        value=nanos["value"] if activity.formula is not None else None,
        progress=nanos["progress"],
        place=None
        if place is None
        else Place(place.event_id, place.virtual, place.guid, place.distance),
        url=None if sent.upload is None else sent.upload.url,
    )


def _enrolled(turn: Turn, enrolment: Enrolment) -> outputs.Enrolled:
    item, pathway = turn.item, turn.pathway
    completed, wanted = pathway_of.required(pathway, enrolment)
    return outputs.Enrolled(
        id=ids.enrolment_id(item.project, pathway.id, item.member_id),
        user_id=turn.member.external_id,
        owned_by_id=item.member_id,
        pathway_id=pathway.id,
        enrolled=enrolment.enrolled,
        enrolled_at=enrolment.enrolled_at,
        completed_required=completed,
        required_activities=wanted,
        pathway_completed=0 < wanted == completed,
        updated_at=turn.at,
        version=enrolment.version,
        definition_version=pathway.version,
    )


def _changed(
    turn: Turn, activity: Activity, enrolment: Enrolment, worked: Worked
) -> outputs.ActivityChanged:
    item, pathway = turn.item, turn.pathway
    completed, wanted = pathway_of.required(pathway, enrolment)
    return outputs.ActivityChanged(
        id=ids.activity_progress_id(item.project, pathway.id, activity.id, item.member_id),
        user_id=turn.member.external_id,
        owned_by_id=item.member_id,
        pathway_id=pathway.id,
        activity_id=activity.id,
        state=worked.state,
        complete=worked.state == pathway_of.COMPLETED,
        progress=Raw(format_amount(worked.progress).encode()),
        timestamp=worked.timestamp,
        fulfilment=fulfilment_json(activity, worked),
        enrolled=enrolment.enrolled,
        completed_required=completed,
        required_activities=wanted,
        pathway_completed=0 < wanted == completed,
        started_at=worked.started_at,
        completed_at=worked.completed_at,
        created_at=worked.created_at,
        updated_at=worked.updated_at,
        definition_version=pathway.version,
    )


def _duplicate() -> replies.Reply:
    body = replies.Refusal(
        code="duplicate",
        message="this uniqueIdentifier was logged before",
        errors=[replies.FieldError("uniqueIdentifier", "was logged before")],
    )
    return replies.Reply(409, Raw(msgspec.json.encode(body)))

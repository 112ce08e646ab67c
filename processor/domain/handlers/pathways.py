"""Pathways in a chunk: enrolments, progress at activities, reviews, and what follows."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates import activity_history as history_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import pathway as pathway_of
from processor.domain.aggregates.fulfilment import fulfilment_json
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.pathway import ActivityState, Enrolment
from processor.domain.aggregates.period import ALL_TIME
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.activity_histories import ActivityHistories
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.holders import Holder, Holders
from processor.domain.handlers.members import require_member
from processor.domain.handlers.milestones import Milestones, Reached
from processor.domain.handlers.voiding import Voiding
from processor.domain.inputs import Refused
from processor.domain.rules import Activity, Pathway
from processor.domain.state_kinds import ACTIVITY, ENROLMENT, activity_key, enrolment_key
from processor.domain.working_set import WorkingSet
from schemas import activity_types as types
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.event_types import (
    ACTIVITY_COMPLETED,
    ACTIVITY_PROGRESSED,
    ACTIVITY_REVERTED,
    MEMBER_ENROLLED,
    MEMBER_UNENROLLED,
)
from schemas.records import Enrol, PathwayCommand, ReviewActivity


class PathwayContext(msgspec.Struct, frozen=True, gc=False):
    """A record about a pathway: its context, its member, the pathway's rules."""

    record: RecordContext
    member: Member
    pathway: Pathway

    @property
    def enrolment_key(self) -> bytes:
        """The key of the member's enrolment."""
        return enrolment_key(self.record.member_id, self.pathway.id)

    def activity_key(self, activity: Activity) -> bytes:
        """Return the key of the member's state at an activity."""
        return activity_key(self.record.member_id, self.pathway.id, activity.id)


def require_activity(pathway: Pathway, activity_id: str) -> Activity:
    """Return an activity of a pathway.

    Raises:
        Refused: the pathway has no such activity.
    """
    activity = pathway.activities.get(activity_id)
    if activity is None:
        raise Refused(Reason.UNKNOWN_ACTIVITY, "the pathway has no such activity", "activityId")
    return activity


class Pathways:
    """The pathways of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._holders = Holders(definitions, entries)
        self._milestones = Milestones(definitions, entries)
        self.histories = ActivityHistories(entries)
        """The logs that are kept of each activity."""

    def pathway(self, project: str, pathway_id: str) -> Pathway:
        """Return a pathway's rules.

        Raises:
            Refused: the project has no such pathway.
        """
        pathway = self._definitions.pathway(project, pathway_id)
        if pathway is None:
            raise Refused(Reason.UNKNOWN_PATHWAY, "no such pathway", "pathwayId")
        return pathway

    def context(self, record: RecordContext, pathway: Pathway) -> PathwayContext:
        """Return a record's member beside its pathway.

        Raises:
            Refused: the project has no such member.
        """
        return PathwayContext(record, require_member(self._entries, record), pathway)

    def command(self, record: RecordContext, command: PathwayCommand) -> Answer:
        """Fold an enrolment, its end, or a review.

        Raises:
            Refused: nothing was changed.
        """
        context = self.context(record, self.pathway(record.project, command.pathway_id))
        if isinstance(command, ReviewActivity):
            return self._review(context, command)
        return self._enrol(context, enrolled=isinstance(command, Enrol))

    def progress(
        self,
        context: PathwayContext,
        activity: Activity,
        before: ActivityState | None,
        after: ActivityState,
    ) -> outputs.ActivityChanged:
        """Write down what was done at an activity, publish it, and give what it reached."""
        new = after.completed_at is not None and (before is None or before.completed_at is None)
        enrolment = pathway_of.progressed(self._enrolment(context), activity, completes=new)
        self._entries.set(ENROLMENT, context.enrolment_key, enrolment)
        self._entries.set(ACTIVITY, context.activity_key(activity), after)
        data = _activity_changed(context, activity, enrolment, after)
        event_type = ACTIVITY_COMPLETED if new else ACTIVITY_PROGRESSED
        context.record.emit(event_type, data, at=after.timestamp, version=enrolment.version)
        self._give(context, enrolment, after.timestamp)
        return data

    def revert(
        self,
        context: PathwayContext,
        voiding: Voiding,
        activity: Activity,
        *,
        log_id: str,
        change: tuple[ActivityState, ActivityState],
    ) -> None:
        """Write down an activity, before and after, of which the log ``log_id`` was voided; publish
        that, and revoke what is not reached any more where the void says so.

        A negative value that is voided may complete it: then that is told and given as ever.
        """
        before, after = change
        fell = before.completed_at is not None and after.completed_at is None
        enrolment = pathway_of.reverted(self._enrolment(context), activity, falls=fell)
        self._entries.set(ACTIVITY, context.activity_key(activity), after)
        changed = _activity_changed(context, activity, enrolment, after)
        data = outputs.ActivityReverted(
            **msgspec.structs.asdict(changed),
            activity_log_id=log_id,
            void_id=voiding.void_id,
            unique_identifier=voiding.command.unique_identifier,
            reason=voiding.command.reason,
            actor=voiding.command.actor,
            voided_at=voiding.at,
        )
        context.record.emit(ACTIVITY_REVERTED, data, at=voiding.at, version=enrolment.version)
        if voiding.revokes:
            enrolment = self._revoke(context, voiding, enrolment)
        self._entries.set(ENROLMENT, context.enrolment_key, enrolment)
        if before.completed_at is None and after.completed_at is not None:
            self.progress(context, activity, before, after)

    def _revoke(self, context: PathwayContext, voiding: Voiding, enrolment: Enrolment) -> Enrolment:
        """Revoke the milestones that the completed activities do not reach any more."""
        record, holder = context.record, Holder("pathway", context.pathway.id)
        gone = [
            milestone.id
            for milestone in pathway_of.lost(enrolment, context.pathway)
            if self._holders.is_held_elsewhere(record, milestone.id, ALL_TIME, but=holder)
            or self._milestones.revoke(record, voiding, milestone.id, ALL_TIME)
        ]
        return pathway_of.revoked(enrolment, gone)

    def _enrol(self, context: PathwayContext, *, enrolled: bool) -> Answer:
        before = self._enrolment(context)
        now = context.record.present
        after = pathway_of.enrol(before, enrolled=enrolled, at=now)
        data = _enrolled(context, after)
        if after is not before:
            self._entries.set(ENROLMENT, context.enrolment_key, after)
            event_type = MEMBER_ENROLLED if enrolled else MEMBER_UNENROLLED
            context.record.emit(event_type, data, at=now, version=after.version)
            self._give(context, after, now)
        return lambda: replies.Reply(200, Raw(outputs.encode(data)))

    def _review(self, context: PathwayContext, command: ReviewActivity) -> Answer:
        activity = require_activity(context.pathway, command.activity_id)
        before = self._entries.get(ACTIVITY, context.activity_key(activity))
        if activity.fulfilment != types.UPLOAD_REVIEW or before is None or before.url is None:
            raise Refused(Reason.INVALID, "has no upload to be reviewed", "activityId")
        at = context.record.present
        after = pathway_of.reviewed(before, approved=command.approved, at=at)
        if after is before:
            data = _activity_changed(context, activity, self._enrolment(context), before)
        else:
            key = context.activity_key(activity)
            after = msgspec.structs.replace(after, updated_at=context.record.recorded_at)
            self.histories.keep(key, activity, before, history_of.approval(at))
            data = self.progress(context, activity, before, after)
        return lambda: replies.Reply(200, Raw(outputs.encode(data)))

    def _give(self, context: PathwayContext, enrolment: Enrolment, at: datetime) -> None:
        """Give a live member the milestones that its completed activities reach."""
        if context.member.status != member_of.LIVE:
            return
        decided = pathway_of.decide(enrolment, context.pathway)
        for milestone in decided.reached:
            reached = Reached(
                slug="pathway",
                linked_id=context.pathway.id,
                milestone=milestone,
                period_key=ALL_TIME,
                value=Raw(b"%d" % decided.value),
                at=at,
            )
            self._milestones.give(context.record, reached)
        after = pathway_of.given(enrolment, decided)
        if after is not enrolment:
            self._entries.set(ENROLMENT, context.enrolment_key, after)

    def _enrolment(self, context: PathwayContext) -> Enrolment:
        return self._entries.get(ENROLMENT, context.enrolment_key) or pathway_of.initial()


def _enrolled(context: PathwayContext, enrolment: Enrolment) -> outputs.Enrolled:
    record, pathway = context.record, context.pathway
    completed, wanted = pathway_of.required(pathway, enrolment)
    return outputs.Enrolled(
        id=ids.enrolment_id(record.project, pathway.id, record.member_id),
        user_id=context.member.external_id,
        owned_by_id=record.member_id,
        pathway_id=pathway.id,
        enrolled=enrolment.enrolled,
        enrolled_at=enrolment.enrolled_at,
        completed_required=completed,
        required_activities=wanted,
        pathway_completed=0 < wanted == completed,
        updated_at=record.recorded_at,
        version=enrolment.version,
        definition_version=pathway.version,
    )


def _activity_changed(
    context: PathwayContext, activity: Activity, enrolment: Enrolment, state: ActivityState
) -> outputs.ActivityChanged:
    record, pathway = context.record, context.pathway
    completed, wanted = pathway_of.required(pathway, enrolment)
    return outputs.ActivityChanged(
        id=ids.activity_progress_id(record.project, pathway.id, activity.id, record.member_id),
        user_id=context.member.external_id,
        owned_by_id=record.member_id,
        pathway_id=pathway.id,
        activity_id=activity.id,
        state=state.state,
        complete=state.state == pathway_of.COMPLETED,
        progress=Raw(format_amount(state.progress).encode()),
        timestamp=state.timestamp,
        fulfilment=fulfilment_json(activity, state),
        enrolled=enrolment.enrolled,
        completed_required=completed,
        required_activities=wanted,
        pathway_completed=0 < wanted == completed,
        started_at=state.started_at,
        completed_at=state.completed_at,
        created_at=state.created_at,
        updated_at=state.updated_at,
        definition_version=pathway.version,
    )

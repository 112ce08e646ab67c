"""Activity logs in a chunk: what members do at the activities of pathways."""

from msgspec import Raw

from processor.domain.aggregates import activity_history as history_of
from processor.domain.aggregates import pathway as pathway_of
from processor.domain.aggregates.pathway import ActivityReport, CheckInPlace, SeenMarker
from processor.domain.context import RecordContext
from processor.domain.effects import Effects
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.pathways import Pathways, require_activity
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.rules import Activity
from processor.domain.state_kinds import (
    ACTIVITY,
    ACTIVITY_LOG,
    activity_key,
    activity_log_key,
    activity_recent_key,
    enrolment_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.dead_letter import Reason
from schemas.records import ActivityLog, RecordError, activity_nanos


class ActivityLogs:
    """Steps through the activity logs of one chunk."""

    def __init__(self, entries: WorkingSet, effects: Effects, pathways: Pathways) -> None:
        self._entries = entries
        self._effects = effects
        self._pathways = pathways

    def prepare(self, item: Read, record: ActivityLog) -> bytes:
        """Return the key that tells whether the log was seen."""
        id_ = ids.activity_log_id(
            item.project,
            record.pathway_id,
            record.activity_id,
            item.member_id,
            record.unique_identifier,
        )
        return activity_log_key(id_)

    def keys(self, item: Read, record: ActivityLog, prepared: bytes) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        activity = activity_key(item.member_id, record.pathway_id, record.activity_id)
        return (
            enrolment_key(item.member_id, record.pathway_id),
            activity,
            activity_recent_key(activity),
            prepared,
        )

    def step(self, context: RecordContext, record: ActivityLog, prepared: bytes) -> Answer:
        """Fold one activity log; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        pathway = self._pathways.pathway(context.project, record.pathway_id)
        activity = require_activity(pathway, record.activity_id)
        working = self._pathways.context(context, pathway)
        not_ahead(context.present, "occurredAt", record.occurred_at)
        report = _report(record, activity, context)
        if self._entries.get(ACTIVITY_LOG, prepared) is not None:
            context.repeat()
            return replies.duplicate
        key = working.activity_key(activity)
        before = self._entries.get(ACTIVITY, key)
        after = pathway_of.evolve(before, report, activity)
        self._pathways.histories.keep(key, activity, before, history_of.kept(report))
        self._entries.set(ACTIVITY_LOG, prepared, SeenMarker())
        data = self._pathways.progress(working, activity, before, after)
        return lambda: replies.Reply(201, Raw(outputs.encode(data)))


def _report(log: ActivityLog, activity: Activity, context: RecordContext) -> ActivityReport:
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
    return ActivityReport(
        at=log.occurred_at,
        identifier=log.unique_identifier,
        recorded_at=context.recorded_at,
        score=nanos["score"],
        value=nanos["value"] if activity.formula is not None else None,
        progress=nanos["progress"],
        place=None
        if place is None
        else CheckInPlace(place.event_id, place.virtual, place.guid, place.distance),
        url=None if sent.upload is None else sent.upload.url,
    )

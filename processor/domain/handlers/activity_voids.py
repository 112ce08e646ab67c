"""Voids of activity logs in a chunk: the activity is what its other logs make it."""

from processor.domain.aggregates import activity_history as history_of
from processor.domain.aggregates import void as void_of
from processor.domain.context import RecordContext
from processor.domain.handlers.pathways import Pathways, require_activity
from processor.domain.handlers.voiding import Voiding, not_voidable, unknown
from processor.domain.state_kinds import (
    ACTIVITY,
    ACTIVITY_LOG,
    VOIDED,
    activity_log_key,
    voided_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids
from schemas.amounts import SCALE


class ActivityVoids:
    """Voids the activity logs of one chunk's members, each of them whole."""

    def __init__(self, entries: WorkingSet, pathways: Pathways) -> None:
        self._entries = entries
        self._pathways = pathways

    def __call__(self, context: RecordContext, voiding: Voiding) -> None:
        """Void the activity log that a command names.

        Raises:
            Refused: unknown, not kept any more, or voided before; nothing was changed.
        """
        of = voiding.command.of
        if of is None or of.pathway_id is None or of.activity_id is None:
            raise unknown(voiding)
        identifier = of.unique_identifier or ""
        log_id = ids.activity_log_id(
            context.project, of.pathway_id, of.activity_id, context.member_id, identifier
        )
        if self._entries.get(ACTIVITY_LOG, activity_log_key(log_id)) is None:
            raise unknown(voiding)
        pathway = self._pathways.pathway(context.project, of.pathway_id)
        activity = require_activity(pathway, of.activity_id)
        voided = self._entries.get(VOIDED, voided_key(log_id)) or void_of.initial()
        void_of.decide(voided, voiding.portion)
        working = self._pathways.context(context, pathway)
        key = working.activity_key(activity)
        before = self._entries.get(ACTIVITY, key)
        kept = self._pathways.histories.kept(key, activity, before)
        log = history_of.find(kept.logs, identifier)
        if before is None or log is None:
            raise not_voidable("it is not kept: older or smaller than what is, or of before voids")
        rest = [each for each in kept.logs if each is not log]
        after = history_of.without(
            before, history_of.fold(kept.base, rest, activity), context.recorded_at
        )
        voiding.voided_id, voiding.voided = log_id, void_of.evolve(voided, SCALE)
        self._entries.set(VOIDED, voided_key(log_id), voiding.voided)
        self._pathways.histories.replace(key, kept.base, rest)
        self._pathways.revert(working, voiding, activity, log_id=log_id, change=(before, after))

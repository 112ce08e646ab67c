"""Voids of events: their points, the logs that they fed, their slot of the limit, their hits."""

from processor.domain.aggregates import event as event_of
from processor.domain.aggregates import void as void_of
from processor.domain.aggregates.event import Did, LimitUsage, Said
from processor.domain.aggregates.period import local_date, local_hour
from processor.domain.aggregates.points import Granted
from processor.domain.aggregates.void import Voided, share
from processor.domain.aggregates.wallet import ENDLESS
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import Ledger
from processor.domain.handlers.log_voids import LogVoids
from processor.domain.handlers.streaks import Streaks
from processor.domain.handlers.voiding import Reversal, Voiding, amount, not_voidable, unknown
from processor.domain.state_kinds import (
    ANSWER,
    GRANTED,
    LIMIT,
    VOIDED,
    answer_key,
    granted_key,
    slot_key,
    voided_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import EVENT_VOIDED
from schemas.ids import uuid_text


class EventVoids:
    """Takes back events of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._ledger = Ledger(definitions, entries)
        self._logs = LogVoids(definitions, entries)
        self._streaks = Streaks(definitions, entries)

    def __call__(self, context: RecordContext, voiding: Voiding) -> None:
        """Take back what an event did, or a portion of it; its slot and its hits with the last one.

        Raises:
            Refused: nothing was changed.
        """
        log_id = _log_id(context, voiding)
        said, did = self._logged(context, voiding, log_id)
        key = voided_key(log_id)
        before = self._entries.get(VOIDED, key) or void_of.initial()
        void_of.decide(before, voiding.portion)
        points = share(said.points, before.portion + voiding.portion) - before.points
        after = void_of.evolve(before, voiding.portion, points)
        self._entries.set(VOIDED, key, after)
        voiding.voided_id, voiding.voided = log_id, after
        self._publish(context, voiding, log_id, after, said=said, did=did, points=points)
        self._reverse(context, voiding, log_id, after, said=said, did=did, points=points)
        for challenge in did.challenges:
            self._logs.void_fed(context, voiding, uuid_text(challenge), log_id)
        if after.whole:
            self._undo(context, voiding, did)

    def _logged(self, context: RecordContext, voiding: Voiding, log_id: str) -> tuple[Said, Did]:
        """Return what an event of the member's said and did.

        Raises:
            Refused: there is no such one, or it does not say.
        """
        logged = self._entries.get(ANSWER, answer_key(log_id))
        if logged is None:
            raise unknown(voiding)
        said, did = event_of.said(logged), logged.did
        project = context.project if did is None else did.project
        if ids.member_id(project, said.user_id) != context.member_id:
            raise unknown(voiding)
        if did is None:
            raise not_voidable()
        return said, did

    def _publish(
        self,
        context: RecordContext,
        voiding: Voiding,
        log_id: str,
        after: Voided,
        *,
        said: Said,
        did: Did,
        points: int,
    ) -> None:
        command = voiding.command
        event = self._definitions.event(context.project, said.event_id)
        data = outputs.EventVoided(
            id=log_id,
            user_id=said.user_id,
            owned_by_id=context.member_id,
            event_id=said.event_id,
            challenge_group=did.group,
            user_group_id=said.user_group_id,
            points=said.points,
            points_voided=after.points,
            points_voided_now=points,
            condition_reached=said.condition_reached,
            limit_reached=said.limit_reached,
            occurred_at=did.at,
            local_date=local_date(did.timezone, did.at).isoformat(),
            local_hour=local_hour(did.timezone, did.at),
            definition_version=-1 if event is None else event.version,
            void_id=voiding.void_id,
            unique_identifier=command.unique_identifier,
            reason=command.reason,
            actor=command.actor,
            portion=amount(voiding.portion),
            voided_portion=amount(after.portion),
            voided_at=voiding.at,
        )
        context.emit(EVENT_VOIDED, data, at=voiding.at, version=after.times)

    def _reverse(
        self,
        context: RecordContext,
        voiding: Voiding,
        log_id: str,
        after: Voided,
        *,
        said: Said,
        did: Did,
        points: int,
    ) -> None:
        """Take back points that it gave, from the lot that they went into."""
        entry_id = ids.points_entry_id(context.project, "event", log_id)
        granted = self._entries.get(GRANTED, granted_key(entry_id))
        lot = ENDLESS if granted is None else granted.lot
        reversal = Reversal(
            entry_id=entry_id,
            voided_id=log_id,
            voided_portion=after.portion,
            event_id=said.event_id,
            user_group=said.user_group_id,
        )
        given = Granted(did.group, said.points, lot, did.at)
        self._ledger.reverse(context, voiding, reversal, given, points)

    def _undo(self, context: RecordContext, voiding: Voiding, did: Did) -> None:
        """Give back what no portion has: its slot, and its hits of streaks."""
        if did.slot is not None:
            self._free(context, did.slot)
        for streak_id, period_key in did.hits:
            self._streaks.revert(context, voiding, streak_id, period_key)

    def _free(self, context: RecordContext, slot: str) -> None:
        """Give a slot of the limit back."""
        key = slot_key(context.member_id, slot)
        used = self._entries.get(LIMIT, key)
        if used is not None and used.slots:
            self._entries.set(LIMIT, key, LimitUsage(used.slots - 1))


def _log_id(context: RecordContext, voiding: Voiding) -> str:
    command = voiding.command
    if command.id is not None:
        return command.id
    key = "" if command.of is None else command.of.idempotency_key or ""
    return ids.event_log_id(context.project, context.member_id, key)

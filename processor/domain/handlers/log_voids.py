"""Voids of challenge logs: what the progress was moved by goes back, and what follows of that."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import void as void_of
from processor.domain.aggregates.challenge import (
    NOTHING,
    Log,
    Progress,
    RecordedLog,
    marked,
)
from processor.domain.aggregates.void import Voided
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.achievements import (
    Achievements,
    Given,
    progress_record,
    progressed,
)
from processor.domain.handlers.apart import keep_apart
from processor.domain.handlers.holders import Holder, Holders
from processor.domain.handlers.ledger import CHALLENGE, Ledger
from processor.domain.handlers.milestones import Milestones
from processor.domain.handlers.voiding import Voiding, amount, not_voidable, unknown
from processor.domain.inputs import Refused
from processor.domain.rules import Challenge
from processor.domain.state_kinds import (
    LOG,
    MEMBER,
    PROGRESS,
    VOIDED,
    log_key,
    member_key,
    progress_key,
    voided_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.dead_letter import Reason
from schemas.event_types import CHALLENGE_LOG_VOIDED, CHALLENGE_REOPENED

_NO_MILESTONES: Sequence[Given] = ()


class VoidedLog(msgspec.Struct, frozen=True, gc=False):
    """A challenge log that is to be voided; ``event_log_id`` is the event's that fed it."""

    id: str
    challenge_id: str
    log: RecordedLog
    event_log_id: str | None = None


class LogVoids:
    """Voids challenge logs of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._achievements = Achievements(definitions, entries)
        self._milestones = Milestones(definitions, entries)
        self._holders = Holders(definitions, entries)
        self._ledger = Ledger(definitions, entries)

    def __call__(self, context: RecordContext, voiding: Voiding) -> None:
        """Void the log that a command names; see ``VoidOf``."""
        named = self._named(context, voiding)
        if named.log.fed:
            message = "an event fed it: void the event"
            raise Refused(Reason.BELONGS_TO_EVENT, message, "id" if voiding.command.id else "of")
        if not named.log.did:
            raise not_voidable()
        before = self._entries.get(VOIDED, voided_key(named.id)) or void_of.initial()
        void_of.decide(before, voiding.portion)
        voiding.voided_id = named.id
        voiding.voided = void_of.evolve(before, voiding.portion)
        self._void(context, voiding, named)

    def void_fed(
        self, context: RecordContext, voiding: Voiding, challenge_id: str, event_log_id: str
    ) -> None:
        """Void the log that an event fed to a challenge, with the event: the same portion of it.

        What a challenge did not take, as a sum takes no event without a value, is passed over.
        """
        log_id = ids.challenge_log_id(
            context.project, challenge_id, context.member_id, event_log_id
        )
        log = self._entries.get(LOG, log_key(log_id))
        if log is not None and log.fed:
            self._void(context, voiding, VoidedLog(log_id, challenge_id, log, event_log_id))

    def _named(self, context: RecordContext, voiding: Voiding) -> VoidedLog:
        """Return the member's log that a command names.

        Raises:
            Refused: there is none, or it does not say whose it is.
        """
        command, key = voiding.command, voiding.command.of
        if key is not None and key.challenge_id is not None and key.unique_identifier is not None:
            log_id = ids.challenge_log_id(
                context.project, key.challenge_id, context.member_id, key.unique_identifier
            )
            log = self._entries.get(LOG, log_key(log_id))
            if log is None:
                raise unknown(voiding)
            return VoidedLog(log_id, key.challenge_id, log)
        assert command.id is not None
        log = self._entries.get(LOG, log_key(command.id))
        if log is None:
            raise unknown(voiding)
        if not log.did:
            raise not_voidable()
        challenge_id = marked(log.of, context.member_id)
        if challenge_id is None:
            raise unknown(voiding)
        return VoidedLog(command.id, challenge_id, log)

    def _void(self, context: RecordContext, voiding: Voiding, voided: VoidedLog) -> None:
        """Keep that a portion of a log is voided, and move its progress by what it did."""
        key, log = voided_key(voided.id), voided.log
        before = self._entries.get(VOIDED, key) or void_of.initial()
        after = void_of.evolve(before, voiding.portion)
        self._entries.set(VOIDED, key, after)
        place = progress_key(context.member_id, voided.challenge_id, log.period_key)
        progress, change = self._entries.get(PROGRESS, place), 0
        if log.counted and progress is not None:
            change = _change(log, progress.method, before, after)
            challenge = self._definitions.challenge(context.project, voided.challenge_id)
            if challenge is not None and challenge.method != progress.method:
                would_be = _change(log, challenge.method, before, after)
                keep_apart(self._entries, place, would_be - change)
        if progress is None:
            self._tell(context, voiding, voided, after, record=None)
        elif not change:
            record = _record(context, voided, progress)
            self._tell(context, voiding, voided, after, record=record)
        elif change < 0:
            self._lower(context, voiding, voided, after, before=progress, change=change)
        else:
            self._raise(context, voiding, voided, after, before=progress, change=change)

    def _lower(
        self,
        context: RecordContext,
        voiding: Voiding,
        voided: VoidedLog,
        portions: Voided,
        *,
        before: Progress,
        change: int,
    ) -> None:
        """Lower a progress, which may fall short of what it had reached."""
        challenge = self._definitions.challenge(context.project, voided.challenge_id)
        period_key = voided.log.period_key
        after = corrected = challenge_of.corrected(before, change, voiding.at)
        if challenge is not None:
            after = challenge_of.reopened(corrected, challenge, period_key, voiding.at)
        record = _record(context, voided, after)
        self._tell(context, voiding, voided, portions, record=record, change=change)
        if challenge is not None and after is not corrected:
            self._reopen(context, voided, challenge, after, record=record)
        if voiding.revokes:
            after = self._revoke(context, voiding, voided, after, record=record)
        place = progress_key(context.member_id, voided.challenge_id, period_key)
        self._entries.set(PROGRESS, place, after)

    def _raise(
        self,
        context: RecordContext,
        voiding: Voiding,
        voided: VoidedLog,
        portions: Voided,
        *,
        before: Progress,
        change: int,
    ) -> None:
        """Raise a progress that a negative value had lowered, as a log of that moment would.

        As for a log, what is reached is looked at while challenge and member are live.
        """
        challenge = self._definitions.challenge(context.project, voided.challenge_id)
        member = self._entries.get(MEMBER, member_key(context.member_id))
        log, decided, given = voided.log, NOTHING, _NO_MILESTONES
        after = challenge_of.corrected(before, change, voiding.at)
        live = member is not None and member.status == member_of.LIVE
        if challenge is not None and challenge.live and live:
            counted = Log(log.activity_at, change, voiding.at)
            after = challenge_of.evolve(before, counted, challenge)
            decided = challenge_of.decide(before, after, challenge)
            if decided.reached:
                decided, given = self._achievements.grant(
                    context, challenge, log.period_key, decided, after=after, at=log.activity_at
                )
        place = progress_key(context.member_id, voided.challenge_id, log.period_key)
        self._entries.set(PROGRESS, place, after)
        record = _record(context, voided, after)
        self._tell(context, voiding, voided, portions, record=record, change=change)
        if challenge is not None:
            self._achievements.announce(
                context, challenge, decided, given, after=after, record=record
            )

    def _reopen(
        self,
        context: RecordContext,
        voided: VoidedLog,
        challenge: Challenge,
        after: Progress,
        *,
        record: outputs.ProgressRecord,
    ) -> None:
        """Publish that a completed challenge fell short again; a tick looks at its end."""
        data = progressed(record, challenge.version)
        context.emit(CHALLENGE_REOPENED, data, at=context.present, version=after.reopened)
        end = challenge_of.ends(after, challenge, voided.log.period_key)
        if after.status == challenge_of.IN_PROGRESS and end is not None:
            place = progress_key(context.member_id, voided.challenge_id, voided.log.period_key)
            self._entries.add_due(end, place)

    def _revoke(
        self,
        context: RecordContext,
        voiding: Voiding,
        voided: VoidedLog,
        after: Progress,
        *,
        record: outputs.ProgressRecord,
    ) -> Progress:
        """Take back what is not earned any more; return the progress without what it reached so."""
        if after.reopened and after.status != challenge_of.COMPLETED:
            self._ledger.revoke(context, voiding, CHALLENGE, record.id)
        period_key, gone = voided.log.period_key, set[str]()
        holder = Holder("challenge", voided.challenge_id)
        for milestone_id in after.reached:
            milestone = self._definitions.milestone(context.project, milestone_id)
            if milestone is None or milestone.target <= after.total:
                continue
            if self._holders.is_held_elsewhere(
                context, milestone_id, period_key, but=holder
            ) or self._milestones.revoke(context, voiding, milestone_id, period_key):
                gone.add(milestone_id)
        left = tuple(each for each in after.reached if each not in gone)
        return msgspec.structs.replace(after, reached=left)

    def _tell(
        self,
        context: RecordContext,
        voiding: Voiding,
        voided: VoidedLog,
        portions: Voided,
        *,
        record: outputs.ProgressRecord | None,
        change: int = 0,
    ) -> None:
        """Publish that a log was voided, with the record of the progress after it."""
        command, log, challenge_id = voiding.command, voided.log, voided.challenge_id
        challenge = self._definitions.challenge(context.project, challenge_id)
        if record is not None and change:
            voiding.progress.append(record)
        data = outputs.ChallengeLogVoided(
            id=voided.id,
            challenge_id=challenge_id,
            owned_by_id=context.member_id,
            activity_at=log.activity_at,
            activity_id=log.activity_id,
            activity_value=outputs.NULL if log.value is None else Raw(log.value.encode()),
            period_key=log.period_key,
            counted=log.counted,
            change=amount(change),
            challenge_progress=record,
            event_log_id=voided.event_log_id,
            definition_version=-1 if challenge is None else challenge.version,
            void_id=voiding.void_id,
            unique_identifier=command.unique_identifier,
            reason=command.reason,
            actor=command.actor,
            portion=amount(voiding.portion),
            voided_portion=amount(portions.portion),
            voided_at=voiding.at,
        )
        context.emit(CHALLENGE_LOG_VOIDED, data, at=voiding.at, version=portions.times)


def _change(log: RecordedLog, method: str, before: Voided, after: Voided) -> int:
    """Return what a progress moves by where more of a log is voided than before."""
    return challenge_of.taken(log, method, before.portion) - challenge_of.taken(
        log, method, after.portion
    )


def _record(
    context: RecordContext, voided: VoidedLog, progress: Progress
) -> outputs.ProgressRecord:
    return progress_record(context, voided.challenge_id, voided.log.period_key, progress)

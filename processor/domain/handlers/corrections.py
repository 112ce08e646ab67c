"""Corrections of progress in a chunk: what a recalculation came to, and what follows of that."""

from collections.abc import Mapping
from functools import partial

from msgspec import Raw

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates import correction as correction_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.challenge import Progress
from processor.domain.aggregates.correction import Corrected, Correction
from processor.domain.aggregates.member import Member
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.achievements import (
    Achievements,
    Crossing,
    progress_record,
    progressed,
)
from processor.domain.handlers.apart import kept_apart
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.members import differs, precondition_failed, require_member
from processor.domain.inputs import Read, Refused
from processor.domain.rules import Challenge
from processor.domain.state_kinds import (
    CORRECTION,
    PROGRESS,
    balances_key,
    correction_key,
    progress_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.event_types import CHALLENGE_PROGRESS_CORRECTED, CHALLENGE_REOPENED
from schemas.records import CorrectProgress, apart_nanos, sum_nanos


class Corrections:
    """Steps through the corrections of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._achievements = Achievements(definitions, entries)

    def keys(self, item: Read, command: CorrectProgress) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        place = progress_key(item.member_id, command.challenge_id, command.period_key)
        return _answer_key(item, command), place, balances_key(item.member_id)

    def command(self, context: RecordContext, command: CorrectProgress) -> Answer:
        """Correct a progress; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        member = require_member(self._entries, context, deleted=True)
        key = _answer_key(context, command)
        seen = self._entries.get(CORRECTION, key)
        if seen is not None:
            context.repeat()
            return partial(_answer, member, command, seen)
        if differs(command.if_version, member.version):
            return precondition_failed
        challenge = self._definitions.challenge(context.project, command.challenge_id)
        if challenge is None:
            raise Refused(Reason.UNKNOWN_CHALLENGE, "no such challenge", "challengeId")
        correction_of.check_moments(command, context.present)
        corrected = self._correct(context, member, challenge, command)
        self._entries.set(CORRECTION, key, corrected)
        return partial(_answer, member, command, corrected)

    def _correct(
        self,
        context: RecordContext,
        member: Member,
        challenge: Challenge,
        command: CorrectProgress,
    ) -> Corrected:
        place = progress_key(context.member_id, challenge.id, command.period_key)
        before = self._entries.get(PROGRESS, place)
        correction_of.decide(challenge, before, command)
        correction = Correction(
            command=command,
            difference=sum_nanos("difference", command.difference),
            apart=kept_apart(self._entries, place) - apart_nanos(command),
            timezone=member_of.zone(challenge, member.timezone),
            present=context.present,
            recorded_at=context.recorded_at,
            lives=challenge.live and member.status == member_of.LIVE,
        )
        begun = before or correction_of.initial(challenge, correction)
        after = correction_of.evolve(begun, challenge, correction)
        decided = challenge_of.decide(begun, after, challenge)
        decided, given = self._achievements.grant(
            context,
            challenge,
            command.period_key,
            decided,
            after=after,
            at=context.present,
            crossed=_crossed(command),
        )
        self._entries.set(PROGRESS, place, after)
        self._await_end(challenge, command.period_key, place, after)
        record = progress_record(context, challenge.id, command.period_key, after)
        _tell(context, challenge, command, before=before, after=after, record=record)
        self._achievements.announce(context, challenge, decided, given, after=after, record=record)
        for more in command.points:
            self._achievements.give_more(
                context, challenge, command.period_key, more, command.recalculation_id
            )
        return Corrected(
            before=0 if before is None else before.shown,
            after=after.shown,
            completed=decided.completed,
            rewards=len(given),
            more_points=sum(more.points for more in command.points),
        )

    def _await_end(
        self, challenge: Challenge, period_key: str, place: bytes, after: Progress
    ) -> None:
        """Have a tick look at a progress when it can no longer be completed in time; where that is
        past, the next one does."""
        end = challenge_of.ends(after, challenge, period_key)
        if after.status == challenge_of.IN_PROGRESS and end is not None:
            self._entries.add_due(end, place)


def _tell(
    context: RecordContext,
    challenge: Challenge,
    command: CorrectProgress,
    *,
    before: Progress | None,
    after: Progress,
    record: outputs.ProgressRecord,
) -> None:
    """Publish the correction, and that a completed challenge fell short again by it."""
    at = context.recorded_at
    was = None
    if before is not None:
        was = progress_record(context, challenge.id, command.period_key, before)
    data = outputs.ProgressCorrected(
        id=ids.correction_id(context.project, context.member_id, command.unique_identifier),
        recalculation_id=command.recalculation_id,
        challenge_id=challenge.id,
        owned_by_id=context.member_id,
        period_key=command.period_key,
        difference=_amount(after.total - (0 if before is None else before.total)),
        before=was,
        after=record,
        unique_identifier=command.unique_identifier,
        corrected_at=at,
        definition_version=challenge.version,
    )
    context.emit(CHALLENGE_PROGRESS_CORRECTED, data, at=at)
    if before is not None and after.reopened > before.reopened:
        reopened = progressed(record, challenge.version)
        context.emit(CHALLENGE_REOPENED, reopened, at=context.present, version=after.reopened)


def _crossed(command: CorrectProgress) -> Mapping[str, Crossing]:
    """Return when, and with what value, the milestones were reached that a recalculation found."""
    return {
        each.milestone_id: Crossing(each.at, _amount(sum_nanos("reached.value", each.value)))
        for each in command.reached
    }


def _answer_key(item: Read | RecordContext, command: CorrectProgress) -> bytes:
    return correction_key(
        ids.correction_id(item.project, item.member_id, command.unique_identifier)
    )


def _answer(member: Member, command: CorrectProgress, corrected: Corrected) -> replies.Reply:
    answer = outputs.CorrectionAnswer(
        user_id=member.external_id,
        unique_identifier=command.unique_identifier,
        recalculation_id=command.recalculation_id,
        challenge_id=command.challenge_id,
        period_key=command.period_key,
        before=_amount(corrected.before),
        after=_amount(corrected.after),
        completed=corrected.completed,
        rewards=corrected.rewards,
        more_points=corrected.more_points,
    )
    return replies.Reply(200, Raw(outputs.encode(answer)))


def _amount(nanos: int) -> Raw:
    return Raw(format_amount(nanos).encode())

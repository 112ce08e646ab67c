"""What ends with a period: progress that is failed or completed then, and streaks that break."""

from datetime import datetime

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates.challenge import Progress
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.achievements import Achievements, progress_record, progressed
from processor.domain.handlers.streaks import Streaks
from processor.domain.rules import Challenge
from processor.domain.state_kinds import MEMBER, PROGRESS, STREAK, member_key
from processor.domain.working_set import WorkingSet
from schemas.event_types import CHALLENGE_FAILED
from schemas.ids import uuid_text


class PeriodEnds:
    """Does what is due of progress and streaks in one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._achievements = Achievements(definitions, entries)
        self._streaks = Streaks(definitions, entries)

    def end_progress(
        self,
        context: RecordContext,
        user_id: str,  # noqa: ARG002
        key: bytes,
        rest: bytes,
    ) -> datetime | None:
        """Fail, or complete, what a period's end finds in progress while the challenge is live."""
        challenge = self._definitions.challenge(context.project, uuid_text(rest[:16]))
        before = self._entries.get(PROGRESS, key)
        if before is None:
            return None
        now, period_key = context.present, rest[16:].decode()
        end = challenge_of.ends(before, challenge, period_key)
        if challenge is not None and end is not None and end > now:  # its end was moved
            self._entries.add_due(end, key)
            return None
        if challenge is None or not challenge.live:
            return _due_since(before, end, now)
        if end is None:
            return None
        after = challenge_of.ended(before, challenge, end, context.recorded_at)
        if after is not before:
            self._entries.set(PROGRESS, key, after)
            self._announce(context, challenge, period_key, before=before, after=after)
        return None

    def _announce(
        self,
        context: RecordContext,
        challenge: Challenge,
        period_key: str,
        *,
        before: Progress,
        after: Progress,
    ) -> None:
        record = progress_record(context, challenge.id, period_key, after)
        decided = challenge_of.decide(before, after, challenge)
        if decided.completed:
            self._achievements.announce(context, challenge, decided, (), after=after, record=record)
            return
        at = record.challenge_failed_at or record.updated_at
        data = progressed(record, challenge.version)
        context.emit(CHALLENGE_FAILED, data, at=at, version=after.reopened)

    def break_streak(
        self,
        context: RecordContext,
        user_id: str,  # noqa: ARG002
        key: bytes,
        rest: bytes,
    ) -> datetime | None:
        """Break a streak whose run its freezes can no longer carry."""
        streak = self._definitions.streak(context.project, rest.decode())
        if streak is None:
            before = self._entries.get(STREAK, key)
            return None if before is None else before.due
        member = self._entries.get(MEMBER, member_key(context.member_id))
        if member is not None:
            self._streaks.break_off(context, member, streak, key)
        return None


def _due_since(progress: Progress, end: datetime | None, now: datetime) -> datetime | None:
    """Return since when a progress waits for its challenge; None where it is not to fail.

    ``endsAt`` may be gone with the challenge, or removed from it: then the last change stands for
    the end that is not known any more.
    """
    if progress.status != challenge_of.IN_PROGRESS:
        return None
    return end if end is not None and end <= now else progress.updated_at

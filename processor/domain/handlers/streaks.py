"""Streaks in a chunk: what a qualifying event does to them, and what time does."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.streak import Run, State
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.milestones import Milestones, Reached
from processor.domain.rules import Streak
from processor.domain.state_kinds import STREAK, streak_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import STREAK_ADVANCED, STREAK_BROKEN, STREAK_COMPLETED, EventType


class Now(msgspec.Struct, frozen=True, gc=False):
    """A member's streak after something happened: its rules, its state, its latest run."""

    user_id: str
    streak: Streak
    state: State
    latest: Run


class Streaks:
    """Steps through the streaks of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._entries = entries
        self._milestones = Milestones(definitions, entries)

    def hit(self, context: RecordContext, member: Member, streak: Streak, moment: datetime) -> str:
        """Count an event that happened at ``moment``; several in a period count once. Return the
        key of the period."""
        key, user_id = streak_key(context.member_id, streak.id), member.external_id
        zone = member_of.zone(streak, member.timezone)
        before = self._streak(key, streak, zone)
        before = before or streak_of.initial(streak, zone, context.recorded_at)
        at = streak_of.ordinal(before.period, before.timezone, moment)
        period_key = streak_of.key_of(before.period, before.timezone, at)
        if streak_of.is_known(before, at):
            return period_key
        fact = streak_of.hit(before, at, streak)
        after = streak_of.evolve(before, fact, streak, context.recorded_at)
        decided = streak_of.decide(before, after, fact, streak)
        self._set(key, before, after)
        now = Now(user_id, streak, after, decided.latest)
        for run in decided.broken:
            self._broken(context, now, run, moment)
        healed = decided.healed
        self._emit(context, STREAK_ADVANCED, now, decided.run, key=at, at=moment, healed=healed)
        for run, milestone in decided.reached:
            reached = Reached(
                slug="streak",
                linked_id=streak.id,
                milestone=milestone,
                period_key=streak_of.key_of(after.period, after.timezone, run.last),
                value=Raw(b"%d" % run.length),
                at=moment,
            )
            self._milestones.give(context, reached)
        for run in decided.completed:
            self._emit(context, STREAK_COMPLETED, now, run, key=run.last, at=moment)
        return period_key

    def break_off(self, context: RecordContext, member: Member, streak: Streak, key: bytes) -> None:
        """Break what is due by now, or wait on where definition or zone have changed since."""
        before = self._streak(key, streak, member_of.zone(streak, member.timezone))
        if before is None or streak_of.is_broken(before):
            return
        latest = streak_of.latest_run(before, streak.freezes)
        due = streak_of.due(before, latest, streak.freezes)
        if due is None or due > context.recorded_at:
            self._set(key, before, msgspec.structs.replace(before, due=due))
            return
        after = streak_of.broken_off(before, latest, context.recorded_at)
        self._set(key, before, after)
        now = Now(member.external_id, streak, after, latest)
        self._broken(context, now, latest, context.recorded_at)

    def _streak(self, key: bytes, streak: Streak, zone: str) -> State | None:
        """Return a streak that began; in the zone of its member where it goes by that."""
        state = self._entries.get(STREAK, key)
        if state is None:
            return None
        state = streak_of.numbered(state)
        return streak_of.moved(state, zone) if streak.by_member else state

    def _set(self, key: bytes, before: State, after: State) -> None:
        self._entries.set(STREAK, key, after)
        if before.due is not None and before.due != after.due:
            self._entries.drop_due(before.due, key)
        if after.due is not None:
            self._entries.add_due(after.due, key)

    def _broken(self, context: RecordContext, now: Now, run: Run, moment: datetime) -> None:
        at = streak_of.breaks_at(now.state, run, now.streak.freezes) or moment
        self._emit(context, STREAK_BROKEN, now, run, key=run.last + 1, at=at)

    def _emit(
        self,
        context: RecordContext,
        event_type: EventType,
        now: Now,
        run: Run,
        *,
        key: int,
        at: datetime,
        healed: bool = False,
    ) -> None:
        period_key = streak_of.key_of(now.state.period, now.state.timezone, key)
        data = _record(context, now, run, period_key=period_key, at=at, healed=healed)
        context.emit(event_type, data, at=at, record_id=f"{data.id}:{period_key}")


def _record(
    context: RecordContext, now: Now, run: Run, *, period_key: str, at: datetime, healed: bool
) -> outputs.StreakChanged:
    streak, state, latest = now.streak, now.state, now.latest
    status = streak_of.status(state, latest)
    return outputs.StreakChanged(
        id=ids.streak_progress_id(context.project, streak.id, context.member_id),
        user_id=now.user_id,
        owned_by_id=context.member_id,
        streak_id=streak.id,
        period=state.period,
        timezone=state.timezone,
        period_key=period_key,
        current_length=0 if status == streak_of.BROKEN else latest.length,
        run_length=run.length,
        longest_length=state.longest,
        target_length=streak.target,
        freezes_left=max(streak.freezes - latest.frozen, 0),
        healed=healed,
        status=status,
        completed=state.completed,
        started_period_key=streak_of.key_of(state.period, state.timezone, latest.first),
        active_until=state.due,
        occurred_at=at,
        created_at=state.created_at,
        updated_at=context.recorded_at,
        definition_version=streak.version,
    )

"""Streaks in a chunk: what a qualifying event does to them, and what time does."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain import streak as streak_of
from processor.domain.cloud_events import emit
from processor.domain.effects import Effects
from processor.domain.entries import streak_key
from processor.domain.milestones import Milestones, Reached
from processor.domain.rules import Streak
from processor.domain.streak import Run, State
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import STREAK_ADVANCED, STREAK_BROKEN, STREAK_COMPLETED, EventType


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A qualifying event: whose, when it happened, when it was recorded, its place in line."""

    project: str
    member_id: str
    user_id: str
    at: datetime
    recorded_at: datetime
    sequence: int


class Now(msgspec.Struct, frozen=True, gc=False):
    """A streak as it stands after something happened: its rules, its state, its latest run."""

    streak: Streak
    state: State
    latest: Run


class Streaks:
    """Steps through the streaks of one chunk's members."""

    def __init__(self, entries: WorkingSet, effects: Effects) -> None:
        self._entries = entries
        self._effects = effects
        self._milestones = Milestones(entries, effects)

    def step(self, hit: Hit, streak: Streak) -> None:
        """Count an event; several in a period count once."""
        key = streak_key(hit.member_id, streak.id)
        before = self._streak(key) or streak_of.initial(streak, hit.recorded_at)
        at = streak_of.ordinal(before.period, before.timezone, hit.at)
        if streak_of.is_known(before, at):
            return
        after, decided = streak_of.evolve(before, at, streak, hit.recorded_at)
        self._set(key, before, after)
        now = Now(streak, after, decided.latest)
        for run in decided.broken:
            self._broken(hit, now, run)
        self._put(STREAK_ADVANCED, hit, now, decided.run, at=at, healed=decided.healed)
        for run, milestone in decided.reached:
            reached = Reached(
                member_id=hit.member_id,
                slug="streak",
                linked_id=streak.id,
                milestone=milestone,
                period_key=streak_of.key_of(after.period, after.timezone, run.last),
                value=Raw(b"%d" % run.length),
                at=hit.at,
                recorded_at=hit.recorded_at,
            )
            self._milestones.give(hit.project, reached, hit.sequence)
        for run in decided.completed:
            self._put(STREAK_COMPLETED, hit, now, run, at=run.last)

    def break_off(self, hit: Hit, streak: Streak, key: bytes) -> None:
        """Break what is due at ``hit.at``, or wait on where the definition has changed since."""
        before = self._streak(key)
        if before is None or streak_of.is_broken(before):
            return
        latest = streak_of.latest_run(before, streak.freezes)
        due = streak_of.due(before, latest, streak.freezes)
        if due is None or due > hit.at:
            self._set(key, before, msgspec.structs.replace(before, due=due))
            return
        after = streak_of.broken_off(before, latest, hit.recorded_at)
        self._set(key, before, after)
        self._broken(hit, Now(streak, after, latest), latest)

    def _streak(self, key: bytes) -> State | None:
        state = self._entries.streak(key)
        return None if state is None else streak_of.numbered(state)

    def _set(self, key: bytes, before: State, after: State) -> None:
        self._entries.set_streak(key, after)
        if before.due is not None and before.due != after.due:
            self._entries.drop_due(before.due, key)
        if after.due is not None:
            self._entries.add_due(after.due, key)

    def _broken(self, hit: Hit, now: Now, run: Run) -> None:
        moment = streak_of.breaks_at(now.state, run, now.streak.freezes) or hit.at
        hit = msgspec.structs.replace(hit, at=moment)
        self._put(STREAK_BROKEN, hit, now, run, at=run.last + 1)

    def _put(
        self,
        event_type: EventType,
        hit: Hit,
        now: Now,
        run: Run,
        *,
        at: int,
        healed: bool = False,
    ) -> None:
        period_key = streak_of.key_of(now.state.period, now.state.timezone, at)
        id_ = ids.streak_progress_id(hit.project, now.streak.id, hit.member_id)
        emit(
            self._effects,
            event_type,
            event_type.event_id(hit.project, f"{id_}:{period_key}"),
            hit.project,
            member_id=hit.member_id,
            at=hit.at,
            data=_record(id_, hit, now, run, period_key=period_key, healed=healed),
            sequence=hit.sequence,
        )


def _record(
    id_: str, hit: Hit, now: Now, run: Run, *, period_key: str, healed: bool
) -> outputs.StreakChanged:
    streak, state, latest = now.streak, now.state, now.latest
    status = streak_of.status(state, latest)
    return outputs.StreakChanged(
        id=id_,
        user_id=hit.user_id,
        owned_by_id=hit.member_id,
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
        occurred_at=hit.at,
        created_at=state.created_at,
        updated_at=hit.recorded_at,
        definition_version=streak.version,
    )

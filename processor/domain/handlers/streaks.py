"""Streaks in a chunk: what a qualifying event does to them, what its void does, what time does."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates import streak_reversal as reversal_of
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.streak import FOR_GOOD, Hits, Run, State
from processor.domain.aggregates.streak_reversal import Lost, Removal
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers import looking
from processor.domain.handlers.holders import Holder, Holders
from processor.domain.handlers.milestones import Milestones, Reached
from processor.domain.handlers.voiding import Voiding
from processor.domain.rules import Streak
from processor.domain.state_kinds import (
    MEMBER,
    STREAK,
    STREAK_HITS,
    member_key,
    streak_hits_family,
    streak_hits_key,
    streak_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.amounts import SCALE
from schemas.dry_runs import Outcome
from schemas.event_types import (
    STREAK_ADVANCED,
    STREAK_BROKEN,
    STREAK_COMPLETED,
    STREAK_REVERTED,
    EventType,
)

_NONE_MORE = Hits(0)


class Now(msgspec.Struct, frozen=True, gc=False):
    """A member's streak after something happened: its rules, its state, its latest run."""

    user_id: str
    streak: Streak
    state: State
    latest: Run


class Streaks:
    """Steps through the streaks of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries
        self._holders = Holders(definitions, entries)
        self._milestones = Milestones(definitions, entries)

    def keys(self, member_id: str, streak: Streak, moment: datetime) -> tuple[bytes, ...]:
        """Name the entries to prefetch for an event that may hit a streak at ``moment``."""
        family = streak_hits_family(member_id, streak.id)
        hits_key = streak_hits_key(family, streak_of.likely_key(streak, moment))
        return streak_key(member_id, streak.id), hits_key

    def hit(
        self,
        context: RecordContext,
        member: Member,
        streak: Streak,
        moment: datetime,
        *,
        voidable: bool = True,
    ) -> str:
        """Count an event that happened at ``moment``; several in a period count once.

        ``voidable`` tells whether the event can be named to void it. Returns the key of the period,
        by which ``revert`` takes the hit back.
        """
        key, user_id = streak_key(context.member_id, streak.id), member.external_id
        zone = member_of.zone(streak, member.timezone)
        before = self._streak(key, streak, zone)
        before = before or streak_of.initial(streak, zone, context.recorded_at)
        at = streak_of.ordinal(before.period, before.timezone, moment)
        period_key = streak_of.key_of(before.period, before.timezone, at)
        if streak_of.counts_nothing(before, at):
            if at >= before.hits[0][0]:
                self._again(context.member_id, streak.id, period_key, voidable=voidable)
            if context.trace is not None:
                length = streak_of.current_length(before, streak)
                looking.at_streak(context.trace, streak, "known", length, length)
            return period_key
        fact = streak_of.hit(before, at, streak)
        after = streak_of.evolve(before, fact, streak, context.recorded_at)
        decided = streak_of.decide(before, after, fact, streak)
        self._set(key, before, after)
        if fact.hits[0] != after.hits[0]:
            self._forget(context.member_id, streak.id, after)
        now = Now(user_id, streak, after, decided.latest)
        for run in decided.broken:
            self._broken(context, now, run, moment)
        healed = decided.healed
        if context.trace is not None:
            self._look_at(context, streak, before, after, decided)
        self._emit(context, STREAK_ADVANCED, now, decided.run, key=at, at=moment, healed=healed)
        for each in decided.reached:
            reached = Reached(
                slug="streak",
                linked_id=streak.id,
                milestone=each.milestone,
                period_key=streak_of.key_of(after.period, after.timezone, each.at),
                value=Raw(b"%d" % each.run.length),
                at=moment,
            )
            self._milestones.give(context, reached)
        for run in decided.completed:
            self._emit(context, STREAK_COMPLETED, now, run, key=run.last, at=moment)
        return period_key

    def _look_at(
        self,
        context: RecordContext,
        streak: Streak,
        before: State,
        after: State,
        decided: streak_of.Decided,
    ) -> None:
        """Tell what a hit did to a streak, and which of its milestones it reached."""
        assert context.trace is not None
        was, is_ = (streak_of.current_length(each, streak) for each in (before, after))
        outcome: Outcome = "healed" if decided.healed else "advanced"
        looking.at_streak(context.trace, streak, outcome, was, is_)
        now = set()
        for each in decided.reached:
            period_key = streak_of.key_of(after.period, after.timezone, each.at)
            if not self._milestones.is_given(context, each.milestone, period_key):
                now.add(each.milestone.id)
        value = decided.run.length * SCALE
        looking.at_milestones(context.trace, streak.milestones, value, now, ())

    def revert(
        self, context: RecordContext, voiding: Voiding, streak_id: str, period_key: str
    ) -> None:
        """Take back that an event hit a period, where no other event hit it.

        Nothing is taken from a streak whose definition is gone, nor where the period is not
        remembered any more.
        """
        streak = self._definitions.streak(context.project, streak_id)
        member = self._entries.get(MEMBER, member_key(context.member_id))
        if self._others_hit(context.member_id, streak_id, period_key):
            return
        if streak is None or member is None:
            return
        key = streak_key(context.member_id, streak_id)
        before = self._streak(key, streak, member_of.zone(streak, member.timezone))
        if before is None:
            return
        at = streak_of.ordinal_of(before.period, before.timezone, period_key)
        if at is None or not streak_of.is_hit(before, at):
            return
        fact = reversal_of.removal(before, at, streak)
        after = reversal_of.evolve(
            before, fact, streak, recorded_at=context.recorded_at, now=context.present
        )
        now = Now(member.external_id, streak, after, reversal_of.latest(fact))
        self._emit_reverted(context, voiding, now, fact)
        if voiding.revokes:
            lost = self._revoke(context, voiding, streak_id, after, fact.lost)
            after = reversal_of.revoked(after, lost)
        self._set(key, before, after)

    def _revoke(
        self,
        context: RecordContext,
        voiding: Voiding,
        streak_id: str,
        state: State,
        lost: tuple[Lost, ...],
    ) -> tuple[Lost, ...]:
        """Revoke rewards that no run reaches any more; return those that were, and those that are
        reached elsewhere."""
        holder, gone = Holder("streak", streak_id), list[Lost]()
        for each in lost:
            milestone_id = each.milestone.id
            period_key = streak_of.key_of(state.period, state.timezone, each.reward_at)
            if self._holders.is_held_elsewhere(
                context, milestone_id, period_key, but=holder
            ) or self._milestones.revoke(context, voiding, milestone_id, period_key):
                gone.append(each)
        return tuple(gone)

    def _others_hit(self, member_id: str, streak_id: str, period_key: str) -> bool:
        """Tell whether more events than one hit a period, and count one less."""
        family = streak_hits_family(member_id, streak_id)
        key = streak_hits_key(family, period_key)
        hits = self._entries.get(STREAK_HITS, key)
        if hits is None:
            return False
        if hits.more != FOR_GOOD:
            left = Hits(hits.more - 1) if hits.more > 1 else None
            self._entries.set_in(family, key, left)
        return True

    def _again(self, member_id: str, streak_id: str, period_key: str, *, voidable: bool) -> None:
        """Keep that one event more hit a period: its hit stays when another one is voided."""
        family = streak_hits_family(member_id, streak_id)
        key = streak_hits_key(family, period_key)
        hits = self._entries.get(STREAK_HITS, key) or _NONE_MORE
        if hits.more != FOR_GOOD:
            more = Hits(hits.more + 1 if voidable else FOR_GOOD)
            self._entries.set_in(family, key, more)

    def _forget(self, member_id: str, streak_id: str, state: State) -> None:
        """Keep no counts of what lies before all that is remembered."""
        family = streak_hits_family(member_id, streak_id)
        first = streak_of.key_of(state.period, state.timezone, state.hits[0][0])
        for key in self._entries.ordered(family, family, streak_hits_key(family, first)):
            self._entries.set_in(family, key, None)

    def break_off(self, context: RecordContext, member: Member, streak: Streak, key: bytes) -> None:
        """Break what is due by now, or wait on where definition or zone have changed since."""
        before = self._streak(key, streak, member_of.zone(streak, member.timezone))
        if before is None or not before.hits or streak_of.is_broken(before):
            return
        latest = streak_of.latest_run(before, streak.freezes)
        due = streak_of.due(before, latest, streak.freezes)
        if due is None or due > context.present:
            self._set(key, before, msgspec.structs.replace(before, due=due))
            return
        after = streak_of.broken_off(before, latest, context.recorded_at)
        self._set(key, before, after)
        now = Now(member.external_id, streak, after, latest)
        self._broken(context, now, latest, context.present)

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
        version = now.state.times_taken  # what a void took back may happen again
        context.emit(event_type, data, at=at, record_id=f"{data.id}:{period_key}", version=version)

    def _emit_reverted(
        self, context: RecordContext, voiding: Voiding, now: Now, fact: Removal
    ) -> None:
        period_key = streak_of.key_of(now.state.period, now.state.timezone, fact.at)
        changed = _record(
            context,
            now,
            reversal_of.left_at(fact),
            period_key=period_key,
            at=voiding.at,
            healed=False,
        )
        data = outputs.StreakReverted(
            **msgspec.structs.asdict(changed),
            void_id=voiding.void_id,
            reason=voiding.command.reason,
        )
        context.emit(
            STREAK_REVERTED,
            data,
            at=voiding.at,
            record_id=f"{data.id}:{period_key}",
            version=now.state.times_taken,
        )


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

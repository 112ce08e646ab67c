"""Ticks in a chunk: what ends with a period, with no record coming.

A due-index in the store has what ends when, so a tick costs what is due, not what exists. It takes
a bounded number; where more is due, the partition's next tick goes on.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates.challenge import Progress
from processor.domain.aggregates.tier import BY_TIME
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects, TooMuch
from processor.domain.handlers.achievements import Achievements, progress_record, progressed
from processor.domain.handlers.clocks import Clocks
from processor.domain.handlers.lot_dues import LotDues
from processor.domain.handlers.spending import Spending
from processor.domain.handlers.streaks import Streaks
from processor.domain.handlers.tiers import Tiers
from processor.domain.rules import Challenge
from processor.domain.state_kinds import (
    HOLD,
    LOT,
    MEMBER,
    NOTICE,
    PARKED,
    PROGRESS,
    STREAK,
    TIER,
    due_entry,
    due_range,
    kind_of,
    member_key,
    member_of,
)
from processor.domain.working_set import NOBODYS_FAULT, WorkingSet
from schemas.event_types import CHALLENGE_FAILED
from schemas.ids import uuid_text
from schemas.records import Tick

_SOON = timedelta(minutes=1)
"""How long after its moment a due is looked at again whose definition is paused or gone then."""
MAX_DUES = 1_000
"""What the ticks of one chunk take together: its transaction stays short."""


LookAtParked = Callable[[str, datetime], None]
"""Looks at what waits for a member, at the time of a tick."""

Due = Callable[[RecordContext, str, bytes, bytes], datetime | None]
"""Does what is due of an entry, given its member's external id, its key, and what follows the
member's id there. Where that has to wait for a definition that is paused or gone, it returns since
when it is due; else None."""


class Ticks:
    """Steps through the ticks of one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        *,
        spending: Spending,
        tiers: Tiers,
        clocks: Clocks,
        look_at_parked: LookAtParked,
    ) -> None:
        self._look_at_parked = look_at_parked
        self._definitions = definitions
        self._clocks = clocks
        self._entries = entries
        self._effects = effects
        self._achievements = Achievements(definitions, entries)
        self._streaks = Streaks(definitions, entries)
        self._tiers = tiers
        self._left = MAX_DUES
        lots = LotDues(definitions, entries)
        self._dues: Mapping[bytes, Due] = {
            PROGRESS.prefix: self._end,
            STREAK.prefix: self._break,
            HOLD.prefix: spending.lapse,
            LOT.prefix: lots.fall_due,
            NOTICE.prefix: lots.give_notice,
            TIER.prefix: tiers.fall_due,
        }

    def step(self, tick: Tick, recorded_at: datetime, sequence: int) -> None:
        """Do what is due at a tick's timestamp, or by the clock that it moves; and go on with the
        clocks that are being moved."""
        if tick.cut is not None:
            return
        if tick.project is None or tick.moves_to is None:
            self._pass_time(recorded_at, sequence)
        else:
            self._clocks.move(tick.project, tick.moves_to)
        if self._definitions.clocks:
            self._clocks.go_on(self._do_due, recorded_at, sequence)

    def _pass_time(self, now: datetime, sequence: int) -> None:
        dues = self._entries.keys(*due_range(now), self._left + 1)
        done = 0
        for key in dues:
            size = self._effects.size + self._entries.weight
            if done == self._left or size > MAX_OUTPUT_BYTES:
                self._effects.more_due = True
                break
            done += 1
            self._do_due(key, due_entry(key)[1], now, now, sequence)
        self._left -= done
        self._effects.counts["dues"] += done

    def _do_due(
        self, key: bytes, entry: bytes, now: datetime, recorded_at: datetime, sequence: int
    ) -> None:
        """Take a key out of its due-index, and do what is due of the entry; that never fails."""
        if not self._entries.is_still_due(key):  # what was due before it put it off
            return
        self._entries.begin()
        self._effects.begin()
        self._entries.drop(key)
        try:
            self._do(entry, now, recorded_at, sequence)
        except NOBODYS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  # it must not come again, nor hold up others
            self._entries.undo()
            self._effects.undo()
            self._entries.drop(key)
            self._effects.count("dues_refused")
            if not isinstance(error, TooMuch):
                self._effects.faults.append(error)

    def _do(self, entry: bytes, now: datetime, recorded_at: datetime, sequence: int) -> None:
        member_id, rest = member_of(entry)
        kind = kind_of(entry)
        if kind == PARKED.prefix:
            self._look_at_parked(member_id, now)
            return
        member = self._entries.get(MEMBER, member_key(member_id))
        if member is not None:
            context = RecordContext(
                self._effects, member.project, member_id, recorded_at, now, sequence
            )
            since = self._dues[kind](context, member.external_id, entry, rest)
            if since is not None:
                self._entries.add_due(_next_look(since, now), entry)
            self._tiers.judge(context, BY_TIME)

    def _end(
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

    def _break(
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


def _next_look(since: datetime, now: datetime) -> datetime:
    """Return the first moment after ``now`` that lies one minute, two, four … after ``since``.

    The longer it waits the less it costs. The moments depend on ``since`` alone, so an entry that
    came to wait twice waits once.
    """
    wait = _SOON
    while since + wait <= now:
        wait *= 2
    return since + wait

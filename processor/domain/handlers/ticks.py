"""Ticks in a chunk: what ends with a period, with no record coming.

A due-index in the store has what ends when, so a tick costs what is due, not what exists. It takes
a bounded number; where more is due, the partition's next tick goes on.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates.tier import BY_TIME
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects, TooMuch
from processor.domain.handlers.achievements import progress_record, progressed
from processor.domain.handlers.spending import Spending
from processor.domain.handlers.streaks import Streaks
from processor.domain.handlers.tiers import Tiers
from processor.domain.handlers.wallets import Wallets
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
    kind_of,
    member_key,
    member_of,
)
from processor.domain.working_set import NOBODYS_FAULT, WorkingSet
from schemas.event_types import CHALLENGE_FAILED
from schemas.ids import uuid_text

_SOON = timedelta(minutes=1)
"""When a challenge that is paused at its end is looked at again, at the earliest."""
MAX_DUES = 1_000
"""What the ticks of one chunk take together: its transaction stays short."""


LookAtParked = Callable[[str, datetime], None]
"""Looks at what waits for a member, at the time of a tick."""

Due = Callable[[RecordContext, str, bytes, bytes], None]
"""Does what is due of an entry, given its member's external id, its key, and what follows the
member's id there."""


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
        look_at_parked: LookAtParked,
    ) -> None:
        self._look_at_parked = look_at_parked
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._streaks = Streaks(definitions, entries)
        self._tiers = tiers
        self._left = MAX_DUES
        wallets = Wallets(definitions, entries)
        self._dues: Mapping[bytes, Due] = {
            PROGRESS.prefix: self._fail,
            STREAK.prefix: self._break,
            HOLD.prefix: spending.lapse,
            LOT.prefix: wallets.turn,
            NOTICE.prefix: wallets.tell,
            TIER.prefix: tiers.turn,
        }

    def step(self, now: datetime, sequence: int) -> None:
        """Do what is due at ``now``."""
        dues = self._entries.dues(now, self._left + 1)
        done = 0
        for key in dues:
            size = self._effects.size + self._entries.weight
            if done == self._left or size > MAX_OUTPUT_BYTES:
                self._effects.more_due = True
                break
            done += 1
            at, entry = due_entry(key)
            self._entries.begin()
            self._effects.begin()
            self._entries.drop_due(at, entry)
            try:
                self._do(entry, now, sequence)
            except NOBODYS_FAULT:
                raise
            except Exception as error:  # noqa: BLE001  # it must not come again, nor hold up others
                self._entries.undo()
                self._effects.undo()
                self._entries.drop_due(at, entry)
                self._effects.count("dues_refused")
                if not isinstance(error, TooMuch):
                    self._effects.faults.append(error)
        self._left -= done
        self._effects.counts["dues"] += done

    def _do(self, entry: bytes, now: datetime, sequence: int) -> None:
        member_id, rest = member_of(entry)
        kind = kind_of(entry)
        if kind == PARKED.prefix:
            self._look_at_parked(member_id, now)
            return
        member = self._entries.get(MEMBER, member_key(member_id))
        if member is not None:
            context = RecordContext(self._effects, member.project, member_id, now, sequence)
            self._dues[kind](context, member.external_id, entry, rest)
            self._tiers.judge(context, BY_TIME)

    def _fail(self, context: RecordContext, user_id: str, key: bytes, rest: bytes) -> None:  # noqa: ARG002
        """Fail a challenge whose period ended short of its target, while the challenge is live."""
        challenge = self._definitions.challenge(context.project, uuid_text(rest[:16]))
        before = self._entries.get(PROGRESS, key)
        if challenge is None or before is None:
            return
        now, period_key = context.recorded_at, rest[16:].decode()
        end = challenge_of.ends(before, challenge, period_key)
        if not challenge.live:
            # The longer ago the end, the later again: what stays paused costs less and less.
            self._entries.add_due(now + max(now - (end or now), _SOON), key)
            return
        if end is None:
            return
        if end > now:  # the challenge's end was moved
            self._entries.add_due(end, key)
            return
        after = challenge_of.failed(before, challenge, end, now)
        if after is before:
            return
        self._entries.set(PROGRESS, key, after)
        record = progress_record(context, challenge.id, period_key, after)
        at = record.challenge_failed_at or record.updated_at
        data = progressed(record, challenge.version)
        context.emit(CHALLENGE_FAILED, data, at=at, version=after.reopened)

    def _break(self, context: RecordContext, user_id: str, key: bytes, rest: bytes) -> None:  # noqa: ARG002
        """Break a streak whose next period was missed."""
        streak = self._definitions.streak(context.project, rest.decode())
        member = self._entries.get(MEMBER, member_key(context.member_id))
        if streak is not None and member is not None:
            self._streaks.break_off(context, member, streak, key)

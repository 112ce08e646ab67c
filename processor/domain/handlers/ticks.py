"""Ticks in a chunk: what ends with a period, with no record coming.

A due-index in the store has what ends when, so a tick costs what is due, not what exists. It takes
a bounded number; where more is due, the partition's next tick goes on.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from processor.domain.aggregates.tier import BY_TIME
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects, TooMuch
from processor.domain.handlers.clocks import Clocks, DoDue
from processor.domain.handlers.lot_dues import LotDues
from processor.domain.handlers.period_ends import PeriodEnds
from processor.domain.handlers.spending import Spending
from processor.domain.handlers.tiers import Tiers
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
    ) -> None:
        self._definitions = definitions
        self._clocks = clocks
        self._entries = entries
        self._effects = effects
        self._tiers = tiers
        self._left = MAX_DUES
        ends, lots = PeriodEnds(definitions, entries), LotDues(definitions, entries)
        self._dues: Mapping[bytes, Due] = {
            PROGRESS.prefix: ends.end_progress,
            STREAK.prefix: ends.break_streak,
            HOLD.prefix: spending.lapse,
            LOT.prefix: lots.fall_due,
            NOTICE.prefix: lots.give_notice,
            TIER.prefix: tiers.fall_due,
        }

    def step(
        self, tick: Tick, recorded_at: datetime, sequence: int, look_at_parked: LookAtParked
    ) -> None:
        """Do what is due at a tick's timestamp, or by the clock that it moves; and go on with the
        clocks that are being moved."""
        if tick.cut is not None:
            return
        do_due = partial(self._do_due, look_at_parked)
        if tick.project is None or tick.moves_to is None:
            self._pass_time(do_due, recorded_at, sequence)
        else:
            self._clocks.move(tick.project, tick.moves_to)
        if self._definitions.clocks:
            self._clocks.go_on(do_due, recorded_at, sequence)

    def _pass_time(self, do_due: DoDue, now: datetime, sequence: int) -> None:
        dues = self._entries.keys(*due_range(now), self._left + 1)
        done = 0
        for key in dues:
            size = self._effects.size + self._entries.weight
            if done == self._left or size > MAX_OUTPUT_BYTES:
                self._effects.more_due = True
                break
            done += 1
            do_due(key, due_entry(key)[1], now, now, sequence)
        self._left -= done
        self._effects.counts["dues"] += done

    def _do_due(  # noqa: PLR0917
        self,
        look_at_parked: LookAtParked,
        key: bytes,
        entry: bytes,
        now: datetime,
        recorded_at: datetime,
        sequence: int,
    ) -> None:
        """Take a key out of its due-index, and do what is due of the entry; that never fails."""
        if not self._entries.is_still_due(key):  # what was due before it put it off
            return
        self._entries.begin()
        self._effects.begin()
        self._entries.drop(key)
        try:
            if kind_of(entry) == PARKED.prefix:
                look_at_parked(member_of(entry)[0], now)
            else:
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
        member = self._entries.get(MEMBER, member_key(member_id))
        if member is not None:
            context = RecordContext(
                self._effects, member.project, member_id, recorded_at, now, sequence
            )
            since = self._dues[kind_of(entry)](context, member.external_id, entry, rest)
            if since is not None:
                self._entries.add_due(_next_look(since, now), entry)
            self._tiers.judge(context, BY_TIME)


def _next_look(since: datetime, now: datetime) -> datetime:
    """Return the first moment after ``now`` that lies one minute, two, four … after ``since``.

    The longer it waits the less it costs. The moments depend on ``since`` alone, so an entry that
    came to wait twice waits once.
    """
    wait = _SOON
    while since + wait <= now:
        wait *= 2
    return since + wait

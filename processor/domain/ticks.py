"""Ticks in a chunk: what ends with a period, with no record coming.

A due-index in the store has what ends when, so a tick costs what is due, not what exists. It takes
a bounded number; where more is due, the partition's next tick goes on.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from processor.domain import challenge as progress_of
from processor.domain.announce import Announcer
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_OUTPUT_BYTES, Effects, TooMuch
from processor.domain.entries import due_entry, member_of
from processor.domain.logs import progress_record
from processor.domain.streaks import Hit, Streaks
from processor.domain.working_set import NOBODYS_FAULT, WorkingSet
from schemas.ids import uuid_text

_SOON = timedelta(minutes=1)
"""When a challenge that is paused at its end is looked at again, at the earliest."""
MAX_DUES = 1_000
"""What the ticks of one chunk take together: its transaction stays short."""


LookAtParked = Callable[[str, datetime], None]
"""Looks at what waits for a member, at the time of a tick."""


class Ticks:
    """Steps through the ticks of one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        look_at_parked: LookAtParked,
    ) -> None:
        self._look_at_parked = look_at_parked
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._announce = Announcer(effects)
        self._streaks = Streaks(entries, effects)
        self._left = MAX_DUES

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
                self._effects.counts["dues_refused"] += 1
                if not isinstance(error, TooMuch):
                    self._effects.faults.append(error)
        self._left -= done
        self._effects.counts["dues"] += done

    def _do(self, entry: bytes, now: datetime, sequence: int) -> None:
        member_id, rest = member_of(entry)
        if entry.startswith(b"k"):
            self._look_at_parked(member_id, now)
            return
        member = self._entries.member(member_id)
        if member is None:
            return
        hit = Hit(member.project, member_id, member.external_id, now, now, sequence)
        if entry.startswith(b"p"):
            self._fail(hit, entry, rest)
        else:
            self._break(hit, entry, rest.decode())

    def _fail(self, hit: Hit, key: bytes, rest: bytes) -> None:
        """Fail a challenge whose period ended short of its target, while the challenge is live."""
        challenge = self._definitions.challenge(hit.project, uuid_text(rest[:16]))
        before = self._entries.progress(key)
        if challenge is None or before is None:
            return
        if not challenge.live:
            # The longer ago the end, the later again: what stays paused costs less and less.
            ended = progress_of.ends(before, challenge, rest[16:].decode()) or hit.at
            self._entries.add_due(hit.at + max(hit.at - ended, _SOON), key)
            return
        end = progress_of.ends(before, challenge, rest[16:].decode())
        if end is None:
            return
        if end > hit.at:  # the challenge's end was moved
            self._entries.add_due(end, key)
            return
        after = progress_of.failed(before, challenge, end, hit.recorded_at)
        if after is before:
            return
        self._entries.set_progress(key, after)
        record = progress_record(
            hit.project, hit.member_id, challenge.id, rest[16:].decode(), after
        )
        self._announce.failed(hit.project, record, challenge.version, hit.sequence)

    def _break(self, hit: Hit, key: bytes, streak_id: str) -> None:
        streak = self._definitions.streak(hit.project, streak_id)
        if streak is not None:
            self._streaks.break_off(hit, streak, key)

"""A recalculation, step by step: report, put in force, cut, correct, wait until that is folded.

Each step can be done again: killed at any point, whoever goes on begins the step anew, or its
partition. What has been fixed by then makes the same commands again, and each of them acts once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from api.queries import recalculations as queries
from api.queries.operations import definition_lock, kind_lock, lock
from api.queries.recalculations import Change, Work
from api.recalculating.asking import from_documents
from api.recalculating.lease import Lease, Lost
from processor import recalculation as replaying
from processor.recalculation import Correction, DefinitionsChanged, Wanted
from schemas.definitions import definition_key
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

logger = logging.getLogger(__name__)

CUT_SECONDS = 60
FOLD_SECONDS = 60
"""How long workers may fold no correction while some are to be folded."""
CUT_POLL_SECONDS = 0.5

Progress = Callable[[str, int, int], None]
"""Is told the step, how much of it is done, and how much there is to do."""


class GaveWay(Exception):
    """Another recalculation has waited for room: this one goes on after it."""


class Unfolded(Exception):
    """The workers have not folded in time what was sent; the message says what that is. The
    recalculation goes on when they have."""


@dataclass(frozen=True)
class Run:
    """A recalculation that this process works at."""

    settings: Settings
    lease: Lease
    progress: Progress
    gives_way: bool = False
    """Whether it makes room after a partition, where another waits: one of a long history takes no
    more than its share."""

    async def to_the_end(self) -> None:
        """Do what is left, until it has ended.

        Raises:
            Lost: it was cancelled, or another process works at it.
            GaveWay: another waits.
            Unfolded: as long as workers do not fold.
            InputsGone, FoldedByNewer, NotTaken: it can never end well.
            KafkaError, psycopg.OperationalError: the servers do not answer.
        """
        steps = {
            "report": self._report,
            "in_force": self._put_in_force,
            "cuts": self._cut,
            "corrections": self._correct,
            "folding": self._wait_folded,
        }
        goes_on = True
        while goes_on:
            async with self.lease.held() as work:
                pass
            goes_on = await steps[work.step](work)

    async def _report(self, work: Work) -> bool:
        """Replay history up to now, and judge what it comes to."""
        if work.ends is None:
            definitions_end = work.definitions_end  # of the report that is applied
            if definitions_end is None:
                definitions_end = await replaying.definitions_end(self.settings)
            ends = await replaying.present_ends(self.settings)
            async with self._step("report", definitions_end, ends):
                return True
        async with aclosing(self._replayed(work)) as replayed:
            async for changes, _ in replayed:
                async with self._held() as held:
                    await self._record(held, changes)
        async with self._held():
            totals = await queries.add_up(self.lease.connection, self.lease.id)
            if _is_above(totals, work):
                return await self._end("refused", "above_maximum")
            if not work.apply:
                return await self._end("reported")
            await self._begin("in_force", work.definitions_end, _ends(work))
        return True

    async def _put_in_force(self, work: Work) -> bool:
        async with self._held():
            await self._take_turns(work)
            wanted = _wanted(work)
            try:
                end = await replaying.put_in_force(
                    self.settings, wanted, self._require_held, work.actor
                )
            except DefinitionsChanged as error:
                logger.warning("the recalculation %s is refused: %s", self.lease.id, error)
                return await self._end("refused", "definitions_changed")
            # No cut lies before these: whoever waits for them need not read from the report on.
            await self._begin("cuts", end, await replaying.present_ends(self.settings))
        return True

    async def _take_turns(self, work: Work) -> None:
        """Wait for API processes that write the same definitions, or any more of a kind that is
        nearly full, and let none write them until the transaction ends."""
        topic = self.settings.topic(DEFINITIONS)
        names: set[str] = set()
        for each in _given(work):
            key = definition_key(work.project, each.kind, each.id)
            names |= {definition_lock(topic, key), kind_lock(topic, work.project, each.kind)}
        await lock(self.lease.connection, *names)

    async def _require_held(self) -> None:
        """Check that the transaction still holds the recalculation.

        Raises:
            Lost: it does not.
            psycopg.OperationalError: the database ended it, as this process stood still.
        """
        if await queries.work(self.lease.connection, self.lease.id, self.lease.owner) is None:
            raise Lost

    async def _cut(self, work: Work) -> bool:
        """Mark the places from which on the definitions hold; wait until they are folded."""
        id_ = str(self.lease.id)
        async with self._held():
            await replaying.write_cuts(self.settings, work.project, id_)
        deadline = time.monotonic() + CUT_SECONDS
        while (places := await replaying.cut_places(self.settings, id_, _ends(work))) is None:
            if time.monotonic() > deadline:
                raise Unfolded("what marks the beginning of the new definitions")
            self.progress(work.step, 0, 1)
            await asyncio.sleep(CUT_POLL_SECONDS)
        async with self._step("corrections", work.definitions_end, places):
            await queries.forget_changes(self.lease.connection, self.lease.id)
        return True

    async def _correct(self, work: Work) -> bool:
        """Replay history up to the cuts, and send what corrects it."""
        async with (
            replaying.sending(self.settings) as send,
            aclosing(self._replayed(work, str(self.lease.id))) as replayed,
        ):
            async for changes, corrections in replayed:
                async with self._held() as held:
                    await self._record(held, changes)
                    sent = await send(corrections, str(self.lease.id))
                    await queries.note_sent(self.lease.connection, self.lease.id, sent)
        async with self._step("folding", work.definitions_end, _ends(work)):
            await queries.add_up(self.lease.connection, self.lease.id)
        return True

    async def _wait_folded(self, work: Work) -> bool:
        """Wait until workers have folded all corrections."""
        after, sent = _ends(work), _by_partition(work.sent)
        reached, done, deadline = -1, 0, 0.0
        async with aclosing(replaying.folding(self.settings, after, sent)) as folding:
            async for folded in folding:
                self.progress(work.step, folded.done, folded.total)
                if folded.done > reached:
                    reached, deadline = folded.done, time.monotonic() + FOLD_SECONDS
                elif time.monotonic() > deadline:
                    raise Unfolded("the corrections, which are all sent")
                if (now_done := len(after) - len(folded.left)) > done:
                    done = now_done
                    async with self._held():
                        await queries.partitions_done(self.lease.connection, self.lease.id, done)
        async with self._held():
            return await self._end("applied")

    async def _replayed(
        self, work: Work, cut: str | None = None
    ) -> AsyncGenerator[tuple[list[Change], list[Correction]]]:
        """Yield what the replay of each partition corrects, some at a time, partition by
        partition: up to the ends that are fixed, or to the first cut of that id in front of
        them."""
        wanted, ends = _wanted(work), _ends(work)
        total = sum(ends.values())
        for partition in sorted(each for each in ends if each >= work.next_partition):
            before = sum(end for each, end in ends.items() if each < partition)

            def told(done: int, _of: int, before: int = before) -> None:
                self.progress(work.step, min(before + done, total), total)

            found = replaying.corrections(
                self.settings, wanted, partition, ends[partition], told, cut=cut
            )
            async with aclosing(found):
                async for some in found:
                    yield [change for each in some for change in changes_of(each)], some
            async with self._held():
                await queries.partitions_done(self.lease.connection, self.lease.id, partition + 1)
            if self.gives_way and await queries.is_any_waiting(self.lease.connection):
                raise GaveWay
        self.progress(work.step, total, total)

    async def _record(self, work: Work, changes: list[Change]) -> None:
        await queries.record(self.lease.connection, work.project, self.lease.id, changes)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Work]:
        async with self.lease.held() as work:
            yield work

    @asynccontextmanager
    async def _step(
        self, step: str, definitions_end: int | None, ends: Mapping[int, int]
    ) -> AsyncIterator[None]:
        """Begin a step, with what is done besides in the same transaction."""
        async with self._held():
            yield
            await self._begin(step, definitions_end, ends)

    async def _begin(self, step: str, *fixed: Any) -> None:
        await queries.begin_step(self.lease.connection, self.lease.id, step, *fixed)

    async def _end(self, status: str, code: str | None = None) -> bool:
        await queries.end(self.lease.connection, self.lease.id, status, code)
        await queries.forget_old_changes(self.lease.connection, self.lease.id)
        return False


def _ends(work: Work) -> dict[int, int]:
    assert work.ends is not None
    return _by_partition(work.ends)


def _by_partition(offsets: Mapping[str, int]) -> dict[int, int]:
    return {int(partition): offset for partition, offset in offsets.items()}


def _wanted(work: Work) -> Wanted:
    assert work.definitions_end is not None
    return Wanted(
        project=work.project,
        definitions=_given(work),
        challenge_id=None if work.challenge_id is None else str(work.challenge_id),
        since=work.since,
        mode=work.mode,
        definitions_end=work.definitions_end,
    )


def _given(work: Work) -> list[Any]:
    """Return the definitions that were given; those in force are none where a challenge was
    named."""
    return [] if work.challenge_id is not None else from_documents(work.definitions)


def _is_above(totals: queries.Totals, work: Work) -> bool:
    """Tell whether a report comes to more than it may."""
    bounds = ((totals.points, work.max_points), (totals.rewards, work.max_rewards))
    return any(most is not None and found > most for found, most in bounds)


def changes_of(correction: Correction) -> list[Change]:
    """Return the rows of `recalculation_changes` of a correction."""
    challenge, member, period = (
        correction.challenge_id,
        correction.member_id,
        correction.period_key,
    )
    before, after = correction.before, correction.after
    rows = []
    if correction.changes:
        rows.append(Change("challenge", challenge, member, period, before, after, 0, None))
    if correction.falls_short:
        rows.append(Change("reopened", challenge, member, period, before, after, 0, None))
    if correction.completed or correction.completion_points:
        kind = "completion" if correction.completed else "points"
        points = correction.completion_points
        rows.append(Change(kind, challenge, member, period, before, after, points, None))
    rows += [
        Change(
            "milestone" if each.granted else "points", each.milestone_id, member, period,
            before, each.value, each.points, each.reward_log_id,
        )
        for each in correction.reached
    ]  # fmt: skip
    rows += [
        Change("not_given", each.milestone_id, member, period, before, after, 0, each.reward_log_id)
        for each in correction.not_given
    ]
    return rows

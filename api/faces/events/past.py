"""`?asOf=` on a user's points, streaks and tiers: what was so then."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from fastapi import Request, Response
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.faces.events.parameters import MAX_LENGTH
from api.faces.events.shapes import StreaksAnswer, UserStreak
from api.faces.events.tiers import answer, values_of, window_of
from api.faces.events.users import MOST_EXPIRING, balances, unknown, zones_of
from api.http.responses import json_response
from api.kafka import past as ends
from api.kafka.past import Past
from api.queries import clocks
from api.queries import past as queries
from api.queries import tiers as tier_queries
from api.queries.operations import snapshot
from api.queries.users import Purse, Zones
from schemas import definitions as models
from schemas import ids
from schemas.topics import (
    CLOCK_EVENTS,
    MEMBER_EVENTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    STREAK_EVENTS,
    TIER_EVENTS,
)

_TABLES = ("challenge_logs", "points_ledger", "tier_history")
"""Read models of before there were places, whose rows may have none."""


@dataclass(frozen=True)
class _Then:
    """A user at an earlier moment, and a connection to ask about it; ``present`` is what time it
    was then in the project."""

    connection: AsyncConnection
    project: str
    member_id: UUID
    past: Past
    present: datetime

    @property
    def moment(self) -> datetime:
        """The moment."""
        return self.past.moment

    def end(self, topic: str) -> int:
        """Return the end of what had been written about the user."""
        return self.past.end(topic, str(self.member_id))


@asynccontextmanager
async def _found_in(
    request: Request, caller: Caller, user_id: str, moment: datetime, *read: str
) -> AsyncIterator[_Then]:
    """Yield a user as it was, once these read models are up to that moment.

    Raises:
        Problem: 404, the project had no such user then, or it was deleted since; 503, the tables
            are behind, or must be rebuilt first.
    """
    if len(user_id) > MAX_LENGTH:
        raise unknown(user_id)
    member_id = UUID(ids.member_id(caller.project, user_id))
    held = resources.of(request)
    await held.barrier.wait(("members",))  # who was deleted meanwhile is not shown
    definitions = await held.definitions.current()
    # Who has members keeps its clock, so it had then the kind that it has now.
    is_manual = definitions.is_manual(caller.project)
    clock = ("clock_history",) if is_manual else ()
    past = await ends.at(held.barrier, moment, ("members", *clock, *read))
    async with held.reads.connection() as connection, snapshot(connection):
        present = moment
        if is_manual:
            moved_by = past.end(CLOCK_EVENTS, str(member_id))
            moved_to = await clocks.shown_at(connection, caller.project, moved_by)
            present = moved_to or definitions.clocks[caller.project]
        then = _Then(connection, caller.project, member_id, past, present)
        end = then.end(MEMBER_EVENTS)
        known = await queries.known(connection, caller.project, member_id, end, moment)
        if known is None or known.by_then is False:
            raise unknown(user_id)
        tables = [table for table in _TABLES if table in read]
        lacking = await queries.without_place(connection, caller.project, tables)
        if lacking or known.by_then is None:
            raise ends.rebuild_first(*(["members"] if known.by_then is None else []), *lacking)
        yield then


async def points(request: Request, caller: Caller, user_id: str, moment: datetime) -> Response:
    """Answer a user's balances as they were."""
    read = ("points_ledger", "points_history")
    async with _found_in(request, caller, user_id, moment, *read) as then:
        total, purses = await queries.balances(
            then.connection,
            then.project,
            then.member_id,
            then.end(POINTS_EVENTS),
            lapses=MOST_EXPIRING,
        )
    return json_response(balances(user_id, total, purses))


async def streaks(request: Request, caller: Caller, user_id: str, moment: datetime) -> Response:
    """Answer a user's streaks as they were; whether one was alive is judged by the time then."""
    async with _found_in(request, caller, user_id, moment, "streak_history") as then:
        rows = await queries.streaks(
            then.connection, then.project, then.member_id, then.end(STREAK_EVENTS), then.present
        )
    return json_response(StreaksAnswer(streaks=[UserStreak(**row) for row in rows]))


async def tiers(request: Request, caller: Caller, user_id: str, moment: datetime) -> Response:
    """Answer a user's tiers as they were, in the sets as they were defined."""
    read = (
        *("tier_history", "points_ledger", "points_history", "challenge_logs"),
        *("challenge_progress", "challenge_progress_history", "definition_history"),
    )
    async with _found_in(request, caller, user_id, moment, *read) as then:
        kinds = (models.Project.kind, models.TierSet.kind)
        defined = await queries.definitions(then.connection, then.project, kinds, moment)
        end = then.end(TIER_EVENTS)
        rows = await queries.tiers(then.connection, then.project, then.member_id, end)
        stored = list(defined.of(then.project, models.TierSet.kind))
        sets = [cast("models.TierSet", each.definition) for each in stored]
        since = {each.id: each.created_at for each in stored}
        zones = zones_of(defined, then.project)
        values = await values_of(sets, _Judged(then, zones, since))
    return answer(sets, rows, values)


@dataclass(frozen=True)
class _Judged:
    """What a user's tiers were judged by then; ``since`` has when each set was defined."""

    then: _Then
    zones: Zones
    since: Mapping[str, datetime]

    async def earned(self, sets: Sequence[models.TierSet]) -> Mapping[str, Decimal]:
        then = self.then
        windows = [window_of(each)._replace(since=self.since[each.id]) for each in sets]
        at = tier_queries.Then(then.present, then.end(POINTS_EVENTS))
        return await tier_queries.earned(
            then.connection, then.project, then.member_id, windows, self.zones, then=at
        )

    async def balances(self) -> tuple[int, Mapping[str, Purse]]:
        then = self.then
        end = then.end(POINTS_EVENTS)
        return await queries.balances(then.connection, then.project, then.member_id, end)

    async def progress(self, challenge_ids: Collection[str]) -> Mapping[str, Decimal]:
        then, kind = self.then, models.Challenge.kind
        defined = await queries.definitions(
            then.connection, then.project, (kind,), then.moment, challenge_ids
        )
        return await queries.progress(
            then.connection,
            then.project,
            then.member_id,
            self.zones,
            [cast("models.Challenge", each.definition) for each in defined.of(then.project, kind)],
            end=then.end(PROGRESS_EVENTS),
            moment=then.present,
        )

"""`/user/{id}/points` and `/user/{id}/challenge`; and the look-up of a user."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from msgspec import Raw
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.faces.events.parameters import MAX_LENGTH, flag
from api.faces.events.shapes import (
    ChallengesAnswer,
    Expiring,
    PointsAnswer,
    UserChallenge,
    Wallet,
)
from api.http.numbers import number_text
from api.http.problems import Problem, clipped
from api.http.responses import json_response
from api.queries import users as queries
from api.queries.users import Purse
from schemas import ids
from schemas.definition_set import DefinitionSet
from schemas.definitions import MEMBER_ZONE

MOST_EXPIRING = 100
"""How many moments at which points lapse are shown of each group."""


@asynccontextmanager
async def found_in(
    request: Request, caller: Caller, user_id: str, *models: str
) -> AsyncIterator[tuple[AsyncConnection, UUID]]:
    """Yield a connection and the user's member id, once these read models are up to date.

    Raises:
        Problem: 404, the project has no such user.
    """
    if len(user_id) > MAX_LENGTH:
        raise unknown(user_id)
    member_id = UUID(ids.member_id(caller.project, user_id))
    held = resources.of(request)
    await held.barrier.wait(("members", *models))
    async with held.reads.connection() as connection:
        if not await queries.exists(connection, caller.project, member_id):
            raise unknown(user_id)
        yield connection, member_id


def unknown(user_id: str) -> Problem:
    """Return that a project has no such user."""
    return Problem(404, f"The user {clipped(user_id)!r} could not be found in the project.")


async def points(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer a user's balances, and what of them is held, pending and about to lapse."""
    models = ("points_totals", "points_balances", "points_lots")
    async with found_in(request, caller, user_id, *models) as (connection, member_id):
        total, purses = await queries.balances(
            connection, caller.project, member_id, lapses=MOST_EXPIRING
        )
    return json_response(balances(user_id, total, purses))


def balances(user_id: str, total: int, purses: Mapping[str, Purse]) -> PointsAnswer:
    """Return a user's balances as they are shown, those of each challenge group included."""
    held = sum(purse.held for purse in purses.values())
    return PointsAnswer(
        user_id=user_id,
        points=total,
        held=held,
        available=total - held,
        groups={group: purse.balance for group, purse in purses.items()},
        wallets={
            group: Wallet(
                balance=purse.balance,
                held=purse.held,
                available=purse.available,
                pending=purse.pending,
                expiring=[Expiring(at=lapse.at, points=lapse.points) for lapse in purse.lapses],
            )
            for group, purse in purses.items()
            if purse.balance or purse.pending
        },
    )


async def challenges(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer the challenges that run now, with the user's progress."""
    completed = flag(request, "completed", None)
    held = resources.of(request)
    definitions = await held.definitions.current()
    present = await held.clocks.present(definitions, caller.project)
    zones = zones_of(definitions, caller.project)
    models = ("challenges", "challenge_progress")
    async with found_in(request, caller, user_id, *models) as (connection, member_id):
        rows = await queries.challenges(
            connection, caller.project, member_id, zones, present=present
        )
    shown = [_challenge(row) for row in rows]
    return json_response(
        ChallengesAnswer(challenges=[c for c in shown if completed in (None, c.completed)])
    )


def zones_of(definitions: DefinitionSet, project: str) -> queries.Zones:
    """Return the time zones of what has none of its own in a project."""
    fallback = definitions.timezone(project)
    return queries.Zones(MEMBER_ZONE if definitions.goes_by_member(project) else fallback, fallback)


def _challenge(row: dict[str, Any]) -> UserChallenge:
    progress = row["current_progress_value"]
    return UserChallenge(
        challenge_id=str(row["id"]),
        title=row["name"],
        description=row["description"],
        status="ACTIVE",
        challenge_group=row["challenge_group"],
        aggregation_period=row["aggregation_period"],
        period_key=row["period_key"],
        goal=Raw(number_text(row["completion_target_value"]).encode()),
        progress=Raw(b"0" if progress is None else number_text(progress).encode()),
        completed=row["progress_status"] == "completed",
        completed_date=row["challenge_completed_at"],
        points=row["points_on_completion"] or 0,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

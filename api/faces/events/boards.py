"""`/leaderboard` and `/user/{id}/rank`: users by the points that they were granted."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.faces.events import periods
from api.faces.events.parameters import text, whole
from api.faces.events.periods import BOARD_TIMEFRAMES, Span
from api.faces.events.shapes import LeaderboardAnswer, Neighbours, RankAnswer, Ranked
from api.faces.events.users import found_in
from api.http.responses import json_response
from api.queries import leaderboards as queries
from api.queries.leaderboards import Board, Rank
from api.resources import Resources
from schemas import definitions as models
from schemas.definition_set import DefinitionSet

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000
BESIDE = 2
"""How many neighbours a rank is shown with, on either side."""
_MAIN_BOARD = "30d"
"""The board whose neighbours an answer names without a suffix as well."""


async def leaderboard(request: Request, caller: Caller) -> Response:
    """Answer the top of a leaderboard."""
    group_id = text(request, "groupId")
    limit = whole(request, "limit", default=DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
    held = resources.of(request)
    definitions, _ = await asyncio.gather(
        held.definitions.current(), held.barrier.wait(("members", "leaderboard_points"))
    )
    day = await _today(held, definitions, caller.project)
    span = periods.of_board(request.query_params, day)
    async with held.reads.connection() as connection:
        board = board_of(definitions, caller.project, group_id, span)
        places = await queries.top(connection, board, limit)
    return json_response(LeaderboardAnswer(group_id=group_id, users=ranked(places)))


async def rank(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer a user's points and ranks of the last days, and who stands beside."""
    group_id = text(request, "groupId")
    held = resources.of(request)
    definitions = await held.definitions.current()
    day = await _today(held, definitions, caller.project)
    shown: dict[str, object] = {}
    async with found_in(request, caller, user_id, "leaderboard_points") as (connection, member_id):
        for name, days in BOARD_TIMEFRAMES.items():
            span = periods.rolling(name, days, day)
            board = board_of(definitions, caller.project, group_id, span)
            shown |= await _standing(connection, board, member_id, name)
    return json_response(rank_answer(user_id, group_id, shown))


def rank_answer(user_id: str, group_id: str | None, shown: Mapping[str, Any]) -> RankAnswer:
    """Return a user's rank, with what is said of each board by the fields of `RankAnswer`."""
    beside: Neighbours = shown[f"neighbours_{_MAIN_BOARD}"]
    return RankAnswer(
        user_id=user_id,
        group_id=group_id,
        users_before=beside.users_before,
        users_after=beside.users_after,
        **shown,
    )


async def _standing(
    connection: AsyncConnection, board: Board, member_id: UUID, name: str
) -> dict[str, object]:
    """Return what a rank says of one board, by the fields of `RankAnswer`."""
    places = await queries.beside(connection, board, member_id, BESIDE)
    own = next((place for place in places if place.member_id == member_id), None)
    before = [place for place in places if own is not None and place.place < own.place]
    after = [place for place in places if own is not None and place.place > own.place]
    return {
        f"points_{name}": int(own.points) if own else 0,
        f"rank_{name}": own.rank if own else None,
        f"neighbours_{name}": Neighbours(users_before=ranked(before), users_after=ranked(after)),
    }


def board_of(definitions: DefinitionSet, project: str, group_id: str | None, span: Span) -> Board:
    """Return the board of an id: a defined leaderboard's, else that of a user group."""
    assert span.start is not None
    if group_id is None:
        return Board(project, span.start, span.end)
    stored = definitions.get(project, models.Leaderboard.kind, group_id)
    if stored is None:
        return Board(project, span.start, span.end, groups=[group_id])
    assert isinstance(stored.definition, models.Leaderboard)
    definition = stored.definition
    return Board(project, span.start, span.end, definition.event_ids, definition.groups)


def ranked(places: Sequence[Rank]) -> list[Ranked]:
    """Return places as they are shown."""
    return [
        Ranked(
            user_id=place.external_id,
            username=username(place),
            points=int(place.points),
            rank=place.rank,
        )
        for place in places
    ]


def username(place: Rank) -> str:
    """Return what others may call a user: the first name and an initial, else the user's id.

    Everybody with a token may read a board, so it shows no whole names.
    """
    initial = f"{place.last_name[0]}." if place.last_name else ""
    return " ".join(part for part in (place.first_name, initial) if part) or place.external_id


async def _today(held: Resources, definitions: DefinitionSet, project: str) -> date:
    """Return today in UTC: boards add up UTC days, whatever the project's zone."""
    return (await held.clocks.present(definitions, project)).astimezone(UTC).date()

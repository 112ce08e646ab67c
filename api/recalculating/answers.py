"""How a recalculation is shown, by HTTP and by the command."""

from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Raw
from psycopg import AsyncConnection

from api.queries import recalculations as queries

MAX_NOT_GIVEN = 1_000
"""Rewards that are listed at most; the table `recalculation_changes` has all of them."""
MAX_LISTED = 20

Status = Literal["running", "reported", "applied", "refused", "failed", "cancelled"]


class RecalculationTotals(msgspec.Struct, kw_only=True):
    """What it comes to: 0 until all of history was looked at."""

    members: int
    completions: int
    rewards: int
    points: int


class RewardNotGiven(msgspec.Struct, kw_only=True, rename="camel"):
    """A reward that stays though it would not have been given."""

    reward_log_id: UUID
    milestone_id: UUID
    member_id: UUID
    period_key: str


class RecalculationAnswer(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A recalculation: what of, how far it is, and what it comes to."""

    id: UUID
    status: Status
    code: str | None = None
    definitions: Raw
    totals: RecalculationTotals
    not_given: list[RewardNotGiven]


class RecalculationList(msgspec.Struct, kw_only=True):
    """A project's recalculations, the newest first."""

    data: list[RecalculationAnswer]


class RecalculationBegun(msgspec.Struct, kw_only=True):
    """The recalculation that runs now."""

    id: UUID


async def one(connection: AsyncConnection, project: str, id_: UUID) -> RecalculationAnswer | None:
    """Return one of a project's recalculations."""
    found = await queries.one(connection, project, id_)
    return None if found is None else await _answer(connection, found)


async def newest(connection: AsyncConnection, project: str) -> RecalculationList:
    """Return a project's newest recalculations."""
    found = await queries.newest(connection, project, MAX_LISTED)
    return RecalculationList(data=[await _answer(connection, each) for each in found])


async def _answer(connection: AsyncConnection, found: queries.Shown) -> RecalculationAnswer:
    not_given = await queries.not_given(connection, found.id, MAX_NOT_GIVEN)
    return RecalculationAnswer(
        id=found.id,
        status=found.status,  # type: ignore[arg-type]  # the table's own check
        code=found.code,
        definitions=Raw(found.definitions.encode()),
        totals=RecalculationTotals(
            members=found.members,
            completions=found.completions,
            rewards=found.rewards,
            points=int(Decimal(found.points)),
        ),
        not_given=[RewardNotGiven(**each._asdict()) for each in not_given],
    )

"""`gm.getChallengeStatus` and `gm.getTopUsers`: users' points and ranks in challenges."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from uuid import UUID

import msgspec
from fastapi import Response

from api.faces.game_mechanics.calls import Call, recently
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.presentation import Presentation
from api.queries import standings as queries
from api.queries.standings import Points, Ranks, Standing
from schemas import definitions as models
from schemas.definition_set import DefinitionSet

ALL = "*"
DEFAULT_CHALLENGE = "_default"
"""The name of the default challenge group."""
DEFAULT_TOTAL = 12
MAX_TOTAL = 100
MAX_LIST = 8192
_MODELS = ("points_ledger", "points_balances")


class Achievement(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A user's status in a challenge. Ranks are left out of where there are no points."""

    challenge_id: str = msgspec.field(name="challengeID")
    points_total: int = msgspec.field(name="pointsTotal")
    points_7_days: int = msgspec.field(name="points7Days")
    rank: int | None = None
    rank_7_days: int | None = msgspec.field(default=None, name="rank7Days")


class TopUser(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A user on the board of a challenge."""

    uid: str = msgspec.field(name="UID")
    name: str | None = None
    rank: int
    achievements: list[Achievement]


async def status(call: Call, presentation: Presentation) -> Response:
    """Answer a user's points in each challenge; with `details=full` the ranks as well."""
    full = call.parameters.choice("details", "basic", "full") == "full"
    include, exclude = _listed(call.parameters, "includeChallenges"), _excluded(call.parameters)
    definitions = await call.held.definitions.current()
    since = await recently(call)
    ranks: Sequence[Ranks] = ()
    async with call.member(*_MODELS) as (connection, member_id):
        points = await queries.points(connection, call.project, member_id, since)
        groups = challenges(definitions, call.project, [p.challenge_group for p in points])
        wanted = [g for g in groups if (include is None or g in include) and g not in exclude]
        if full:
            ranks = await queries.ranks(connection, call.project, member_id, wanted, since)
    return presentation.success({"achievements": achievements(wanted, points, ranks)})


async def top(call: Call, presentation: Presentation) -> Response:
    """Answer the best users of a challenge, and where the user `UID` stands among all."""
    parameters = call.parameters
    group = parameters.text("challenge") or DEFAULT_CHALLENGE
    limit = parameters.whole("totalCount", 1, MAX_TOTAL) or DEFAULT_TOTAL
    parameters.whole("friendsCount", 0, MAX_TOTAL)  # nobody has friends here
    include_self = parameters.flag("includeSelf", True)
    period: queries.Period = (
        "all" if parameters.choice("period", "7days", "all") == "all" else "7days"
    )
    if parameters.text("UID") is not None:
        async with call.member(*_MODELS) as (_, found):
            member_id: UUID | None = found if include_self else None
    else:
        member_id = None
        await call.held.barrier.wait(("members", *_MODELS))
    since = await recently(call)
    async with call.held.reads.connection() as connection:
        standings = await queries.top(
            connection,
            call.project,
            group,
            period,
            since,
            limit=limit,
            member_id=member_id,
        )
    return presentation.success({"users": [_user(group, s) for s in standings]})


def _listed(parameters: Parameters, name: str) -> Collection[str] | None:
    """Return the challenges that a parameter lists, None for all."""
    text = parameters.text(name, MAX_LIST) or ALL
    listed = [part.strip() for part in text.split(",")]
    return None if ALL in listed else listed


def _excluded(parameters: Parameters) -> Collection[str]:
    text = parameters.text("excludeChallenges", MAX_LIST) or ""
    return [part.strip() for part in text.split(",")]


def challenges(definitions: DefinitionSet, project: str, own: Sequence[str]) -> list[str]:
    """Return every challenge group of a project that is known, the default one first.

    `own` are those that the user has points in, whether or not a definition names them still.
    """
    found = set(own)
    for kind in (models.Event.kind, models.Challenge.kind):
        for stored in definitions.of(project, kind):
            assert isinstance(stored.definition, models.Event | models.Challenge)
            found.add(stored.definition.challenge_group)
    found.update(stored.id for stored in definitions.of(project, models.Wallet.kind))
    return [DEFAULT_CHALLENGE, *sorted(found - {DEFAULT_CHALLENGE})]


def achievements(
    groups: Sequence[str], points: Sequence[Points], ranks: Sequence[Ranks]
) -> list[Achievement]:
    """Return a user's status in each of these groups."""
    points_in = {entry.challenge_group: entry for entry in points}
    ranks_in = {entry.challenge_group: entry for entry in ranks}
    found = []
    for group in groups:
        entry = points_in.get(group) or Points(group, Decimal(0), Decimal(0))
        rank = ranks_in.get(group)
        found.append(
            Achievement(
                challenge_id=group,
                points_total=int(entry.total),
                points_7_days=int(entry.recent),
                rank=rank.total_rank if rank and entry.total > 0 else None,
                rank_7_days=rank.recent_rank if rank and entry.recent > 0 else None,
            )
        )
    return found


def _user(group: str, standing: Standing) -> TopUser:
    names = (standing.first_name, standing.last_name)
    return TopUser(
        uid=standing.external_id,
        name=" ".join(name for name in names if name) or None,
        rank=standing.rank,
        achievements=achievements(
            [group], [Points(group, standing.total, standing.recent)], ranks=()
        ),
    )

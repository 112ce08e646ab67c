"""`/user/{id}/tier`: a user's tiers as they stand now; and a tier that is assigned by hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, cast
from uuid import UUID

from fastapi import Request, Response
from msgspec import Raw
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.faces.events.access import is_end_user
from api.faces.events.bodies import AssignTierBody
from api.faces.events.face import body_of
from api.faces.events.parameters import MAX_LENGTH
from api.faces.events.shapes import NextTier, TiersAnswer, UserTier
from api.faces.events.users import found_in, unknown, zones_of
from api.http import bodies
from api.http.numbers import number_text
from api.http.problems import Problem, invalid
from api.http.responses import json_response
from api.kafka.processor_client import refusal
from api.queries import tiers as queries
from api.queries import users
from api.queries.operations import snapshot
from schemas import definitions as models
from schemas import ids, records
from schemas.instants import InstantError, utc
from schemas.outputs import NULL
from schemas.topics import MEMBER_COMMANDS

_PENDING = "The command was taken, but its result did not come in time; repeating it is safe"


async def of_user(request: Request, caller: Caller, user_id: str) -> Response:
    """Answer a user's tier in each set of the project, as of now."""
    held = resources.of(request)
    definitions = await held.definitions.current()
    present = await held.clocks.present(definitions, caller.project)
    sets = [
        cast("models.TierSet", stored.definition)
        for stored in definitions.of(caller.project, models.TierSet.kind)
    ]
    zones = zones_of(definitions, caller.project)
    read_models = (
        *("member_tiers", "tier_sets", "points_ledger", "points_balances"),
        *("challenges", "challenge_progress"),
    )
    async with (
        found_in(request, caller, user_id, *read_models) as (connection, member_id),
        snapshot(connection),
    ):
        rows = await queries.of_member(connection, caller.project, member_id)
        now = _Now(connection, caller.project, member_id, zones, present)
        values = await values_of(sets, now)
    return answer(sets, rows, values)


def answer(
    sets: Sequence[models.TierSet],
    rows: Mapping[str, Mapping[str, Any]],
    values: Mapping[str, Decimal],
) -> Response:
    """Answer a user's tier in each set, by what it was judged last and what is so."""
    shown = [_shown(each, rows.get(each.id), values.get(each.id, Decimal(0))) for each in sets]
    return json_response(TiersAnswer(tiers=shown))


class Asked(Protocol):
    """What may be asked about a user that tiers are judged by."""

    async def earned(self, sets: Sequence[models.TierSet]) -> Mapping[str, Decimal]:
        """Return what was earned in the windows of sets, by the set."""

    async def balances(self) -> tuple[int, Mapping[str, users.Purse]]:
        """Return the total balance, and that of each challenge group."""

    async def progress(self, challenge_ids: Collection[str]) -> Mapping[str, Decimal]:
        """Return the progress in the present period of challenges; those without may be missing."""


async def values_of(sets: Sequence[models.TierSet], user: Asked) -> dict[str, Decimal]:
    """Return what a user's tiers are judged by, by the set; those that are 0 may be missing."""
    of: dict[str, list[models.TierSet]] = {"earned": [], "balance": [], "progress": []}
    for each in sets:
        of[each.basis.type].append(each)
    found: dict[str, Decimal] = {}
    if of["earned"]:
        found |= await user.earned(of["earned"])
    if of["balance"]:
        total, purses = await user.balances()
        by_wallet = {None: total} | {group: purse.balance for group, purse in purses.items()}
        found |= {each.id: Decimal(by_wallet.get(each.basis.wallet, 0)) for each in of["balance"]}
    if of["progress"]:
        values = await user.progress({each.basis.challenge_id or "" for each in of["progress"]})
        found |= {
            each.id: values.get(each.basis.challenge_id or "", Decimal(0))
            for each in of["progress"]
        }
    return found


@dataclass(frozen=True)
class _Now:
    """A user as of now."""

    connection: AsyncConnection
    project: str
    member_id: UUID
    zones: users.Zones
    present: datetime

    async def earned(self, sets: Sequence[models.TierSet]) -> Mapping[str, Decimal]:
        windows = [window_of(each) for each in sets]
        return await queries.earned(
            self.connection,
            self.project,
            self.member_id,
            windows,
            self.zones,
            then=queries.Then(self.present),
        )

    async def balances(self) -> tuple[int, Mapping[str, users.Purse]]:
        return await users.balances(self.connection, self.project, self.member_id)

    async def progress(self, challenge_ids: Collection[str]) -> Mapping[str, Decimal]:
        rows = await users.challenges(
            self.connection,
            self.project,
            self.member_id,
            self.zones,
            challenge_ids,
            present=self.present,
        )
        return {str(row["id"]): row["current_progress_value"] or Decimal(0) for row in rows}


def window_of(tier_set: models.TierSet) -> queries.Window:
    """Return what a set counts that goes by what was earned."""
    window = tier_set.window or models.TierWindow()
    return queries.Window(tier_set.id, tier_set.basis.wallet, window.type, window.length)


def _shown(tier_set: models.TierSet, row: Mapping[str, Any] | None, value: Decimal) -> UserTier:
    """Return a user's tier; without having been judged it is the one that needs nothing."""
    first = tier_set.tiers[0]
    untouched = None if first.threshold else first.id
    tier_id = untouched if row is None else row["tier_id"]
    tier = next((each for each in tier_set.tiers if each.id == tier_id), None)
    floor = Decimal(-1) if tier is None else tier.threshold
    following = next((each for each in tier_set.tiers if each.threshold > floor), None)
    return UserTier(
        tier_set_id=tier_set.id,
        tier_id=tier_id,
        name=None if tier is None else tier.name,
        since=None if row is None else row["since"],
        until=None if row is None else row["until"],
        value=_number(value),
        to_keep=NULL if tier is None else _number(max(tier.threshold - value, Decimal(0))),
        next=None if following is None else _next(following, value),
    )


def _next(tier: models.Tier, value: Decimal) -> NextTier:
    return NextTier(
        tier_id=tier.id,
        threshold=_number(tier.threshold),
        missing=_number(max(tier.threshold - value, Decimal(0))),
    )


def _number(value: Decimal) -> Raw:
    return Raw(number_text(value).encode())


async def assign(request: Request, caller: Caller, user_id: str) -> Response:
    """Have the processor assign a tier; respond with the user's tier in the set afterwards."""
    if is_end_user(caller):
        raise Problem(403, "Only an admin may assign a tier.")
    body = await bodies.read(request, AssignTierBody, caller.project)
    command = records.AssignTier(
        project=caller.project,
        user_id=user_id,
        tier_set_id=body.tier_set_id,
        tier_id=body.tier_id,
        reason=body.reason,
        unique_identifier=body.unique_identifier,
    )
    if body.until is not None:
        try:
            command.until = utc(body.until)
        except InstantError as error:
            raise invalid("until", str(error)) from error
    if len(user_id) > MAX_LENGTH:
        raise unknown(user_id)
    member_id = ids.member_id(caller.project, user_id)
    value = records.encode(command)
    reply = await resources.of(request).processor.send(MEMBER_COMMANDS, member_id, value)
    if reply is None:
        tier_id = ids.tier_id(caller.project, member_id, command.tier_set_id)
        named = {"id": tier_id, "uniqueIdentifier": command.unique_identifier}
        return json_response(body_of(202, _PENDING, **named), 202)
    if reply.status >= 400:
        raise refusal(reply)
    return json_response(bytes(reply.body), reply.status)

"""What led to one thing: rows of the tables first, then the topics, within one deadline."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaError
from fastapi import Request
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.explaining import progress
from api.explaining.answers import Definition, Explanation, Input, number
from api.explaining.places import (
    Place,
    Places,
    Wanted,
    is_command,
    is_event,
    is_void,
)
from api.explaining.progress import Facts
from api.explaining.versions import Named, Versions
from api.http.problems import Problem, not_found
from api.kafka.processor_client import unavailable
from api.kafka.record_reader import Removed
from api.queries import explanations as queries
from processor.domain.retelling import Step, up_to, up_to_reward
from schemas import definitions as models
from schemas import ids
from schemas.topics import EVENTS, MEMBER_COMMANDS, partition_for

logger = logging.getLogger(__name__)

KEY_SECONDS = 20.0
END_USER_SECONDS = 5.0
"""How long an explanation may take. What was found is remembered: a repeat goes on from there."""

READ_MODELS = {
    "reward_log": ("reward_logs", "milestones_reached"),
    "progress": ("challenge_progress",),
    "points": ("points_ledger", "event_log", "reward_logs", "milestones_reached"),
}
_LOGS = ("challenge_logs", "event_log", "voids", "member_history", "challenge_progress")
"""What the tables of logs are; all are waited for, for an explanation leaves nothing out."""


@dataclass(frozen=True)
class Asking:
    """Whose explanation it is, and what it is made with."""

    held: resources.Resources
    caller: Caller
    versions: Versions

    @property
    def project(self) -> str:
        """The project."""
        return self.caller.project

    def places(self, member_id: str) -> Places:
        """Return what finds the inputs of a member's partition."""
        partition = partition_for(member_id, self.held.settings.partitions)
        return Places(self.held.records, self.held.chunks, partition)


@asynccontextmanager
async def asking(request: Request, caller: Caller) -> AsyncIterator[Asking]:
    """Yield what an explanation is made with, and bound the time that it takes.

    Raises:
        Problem: 410, a topic has the inputs no more; or 503, it takes too long, or the broker does
            not answer.
    """
    held = resources.of(request)
    versions = Versions(held.records, held.definitions.history, caller.project)
    seconds = END_USER_SECONDS if caller.key is None else KEY_SECONDS
    try:
        async with asyncio.timeout(seconds), held.explaining:
            await held.definitions.current()  # their history as well
            yield Asking(held, caller, versions)
    except Removed as error:
        logger.info("an explanation is not possible any more: %s", error)
        detail = "The topics have the inputs that led to this no more."
        raise Problem(410, detail, code="inputs_gone") from error
    except TimeoutError as error:
        raise unavailable("This takes too long; a repeat goes on from here.") from error
    except KafkaError as error:
        logger.warning("explanations: %s", error or type(error).__name__)
        raise unavailable("The broker does not answer now; try again.") from error


async def explain(request: Request, caller: Caller, kind: str, record_id: str) -> Explanation:
    """Explain a reward, a progress or an entry of the ledger.

    Raises:
        Problem: 404, the project has no such thing, or it is not the end user's; 410, 422 or 503.
    """
    id_ = record_id.lower()
    if not ids.is_uuid(id_):
        raise not_found(kind, record_id)
    async with asking(request, caller) as asked:
        await asked.held.barrier.wait((*READ_MODELS[kind], *_LOGS))
        async with asked.held.reads.connection() as connection:
            row = await queries.one(connection, caller.project, kind, UUID(id_))
            if row is None or not may_see(caller, row["member_id"]):
                raise not_found(kind, record_id)
            plan = await _PLANS[kind](asked, connection, row)
        return await _carried_out(asked, kind, row, plan)


def may_see(caller: Caller, member_id: UUID) -> bool:
    """Tell whether a caller may see what is a member's: an end user its own."""
    user = caller.user
    own = None if user is None or user.is_admin else user.user_id
    return own is None or ids.member_id(caller.project, own) == str(member_id)


@dataclass(frozen=True)
class Retold:
    """That a progress's logs led to it: up to which step, and for which milestone."""

    facts: Facts
    cut: Callable[[Sequence[Step]], list[Step]]
    milestone_id: str | None = None


@dataclass(frozen=True)
class Told:
    """That one input led to it."""

    wanted: Wanted
    row: Mapping[str, Any]
    versions: frozenset[int] = frozenset()
    named: tuple[Named, ...] = ()


Plan = Retold | Told


async def _reward(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    slug = row["linked_schema_slug"]
    if slug != "challenge":
        raise Problem(404, f"Rewards of a {slug} are not explained.")
    id_, changed, reached = str(row["id"]), row["sequence"], row["reached_sequence"]
    found = await _facts(asked, connection, row, row["linked_schema_record_id"])
    return Retold(
        found,
        lambda steps: up_to_reward(steps, id_, changed, reached),
        str(row["milestone_id"]),
    )


async def _progress(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    return Retold(await _facts(asked, connection, row, str(row["challenge_id"])), list)


async def _facts(
    asked: Asking, connection: AsyncConnection, row: queries.Row, challenge_id: str
) -> Facts:
    """Return the logs of the progress of a row's member and period in a challenge."""
    member_id, period_key = row["member_id"], row["period_key"]
    progress_id = ids.progress_id(asked.project, challenge_id, str(member_id), period_key)
    found = await progress.facts(
        connection, asked.project, member_id, UUID(challenge_id), UUID(progress_id)
    )
    return found.checked()


async def _points(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    """Points of a completion or a milestone came from the logs that led there; all others from the
    one input that moved them."""
    kind, _, _ = row["action_id"].partition(":")
    if row["operation"] == "grant" and row["event_id"] is None:
        if kind == "challenge":
            of = await queries.one(connection, asked.project, "progress", UUID(row["source_id"]))
            if of is not None:
                found = await _facts(asked, connection, of, str(of["challenge_id"]))
                return Retold(found, lambda steps: up_to(steps, row["sequence"], "completed"))
        elif kind == "milestone":
            of = await queries.one(connection, asked.project, "reward_log", UUID(row["source_id"]))
            if of is not None:
                plan = await _reward(asked, connection, of)
                assert isinstance(plan, Retold)
                cut, before = plan.cut, row["sequence"]
                return Retold(plan.facts, lambda s: cut(up_to(s, before)), plan.milestone_id)
    return _moved(row)


def _moved(row: queries.Row) -> Told:
    """Return what moved points with one input, and by which definitions."""
    sequence, at = row["sequence"], row["created_at"]
    wallet = (Named(models.Wallet.kind, row["challenge_group"]),)
    if row["void_id"] is not None:
        wanted = Wanted(sequence, MEMBER_COMMANDS, is_void(str(row["void_id"])), at)
    elif row["event_id"] is not None:
        wanted = Wanted(sequence, EVENTS, is_event(row["source_id"]), at)
        boosts = tuple(Named(models.Boost.kind, id_) for id_ in row["boosts"] or ())
        tiers = row["tier"] or {}
        sets = tuple(Named(models.TierSet.kind, id_) for id_ in sorted(tiers))
        versions = frozenset({row["definition_version"]})
        return Told(wanted, row, versions, (*wallet, *boosts, *sets))
    elif row["operation"] in ("redeem", "spend", "capture", "adjust"):
        check = is_command(row["operation"], row["source_id"])
        wanted = Wanted(sequence, MEMBER_COMMANDS, check, at)
    else:  # time did it, with whatever was folded then
        wanted = Wanted(sequence)
    return Told(wanted, row, named=wallet)


_PLANS: Mapping[str, Callable[[Asking, AsyncConnection, queries.Row], Awaitable[Plan]]] = {
    "reward_log": _reward,
    "progress": _progress,
    "points": _points,
}


async def _carried_out(asked: Asking, kind: str, row: queries.Row, plan: Plan) -> Explanation:
    """Find the inputs, and read the definitions."""
    member_id = str(row["member_id"])
    places = asked.places(member_id)
    if isinstance(plan, Retold):
        steps = plan.cut(await progress.steps(plan.facts, asked.versions))
        found = await places.find(progress.wanted(step.of for step in steps))
        inputs = progress.shown(steps, found)
        versions = progress.versions_of(plan.facts, steps)
        milestone = plan.milestone_id
        named: tuple[Named, ...] = ()
        if milestone is not None:
            named = (Named(models.Milestone.kind, milestone),)
    else:
        found = await places.find([plan.wanted])
        inputs, versions, named = [_entry(plan.row, found[0])], set(plan.versions), plan.named
    if found:
        versions |= _versions_at(asked, named, found[-1])
    return Explanation(
        kind=kind,
        id=str(row["id"]),
        member_id=member_id,
        inputs=inputs,
        definitions=await definitions(asked, versions),
    )


def _entry(row: Mapping[str, Any], place: Place) -> Input:
    points = number(row["points"])
    return Input(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        time=row["occurred_at"],
        value=points,
        added=points,
        after=number(row["balance"]),
    )


def _versions_at(asked: Asking, named: Iterable[Named], last: Place) -> set[int]:
    """Return the versions of definitions as the last input's chunk knew them."""
    found = (asked.versions.before(each, last.chunk.definitions) for each in named)
    return {version for version in found if version is not None}


async def definitions(asked: Asking, versions: Iterable[int]) -> list[Definition]:
    """Return definitions by their versions, in the order in which they were written; what a version
    deleted is left out."""
    found = []
    for version in sorted(set(versions)):
        change = await asked.versions.of(version) if version >= 0 else None
        if change is not None and change.definition is not None:
            found.append(
                Definition(
                    kind=change.kind,
                    id=change.id,
                    version=version,
                    definition=models.wire_fields(change.definition),
                )
            )
    return found

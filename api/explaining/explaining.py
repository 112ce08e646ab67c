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
from msgspec import UNSET, Raw
from psycopg import AsyncConnection

from api import resources
from api.auth.access import Caller
from api.auth.shares import while_read
from api.explaining import pathways, progress, streaks, tiers
from api.explaining.answers import Definition, Explanation, Input, input_at, number
from api.explaining.places import (
    Place,
    Places,
    Wanted,
    is_assignment,
    is_command,
    is_event,
    is_void,
)
from api.explaining.versions import Named, Versions, compiled
from api.http.problems import Problem, not_found
from api.kafka.processor_client import BEHIND, unavailable
from api.kafka.record_reader import Removed
from api.queries import explanations as queries
from api.queries.operations import snapshot
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.period import period_key
from processor.domain.aggregates.tier import BY_HAND, PROGRESS
from processor.domain.retelling.progress import Crossing, up_to, up_to_reward
from processor.domain.retelling.progress import Step as ProgressStep
from processor.domain.retelling.streaks import Step as StreakStep
from processor.domain.rules import TierSet
from schemas import definitions as models
from schemas import ids
from schemas.outputs import NULL
from schemas.topics import EVENTS, MEMBER_COMMANDS, partition_for

logger = logging.getLogger(__name__)

KEY_SECONDS = 20.0
END_USER_SECONDS = 5.0
"""How long an explanation may take. What was found is remembered: a repeat goes on from there."""

_OF_REWARDS = ("reward_logs", "milestones_reached", "streak_progress", "pathway_history")

READ_MODELS = {
    "reward_log": _OF_REWARDS,
    "progress": ("challenge_progress",),
    "points": ("points_ledger", *_OF_REWARDS),
    "streak": ("streak_progress",),
    "tier": ("tier_history", "members", "points_ledger"),
}
_LOGS = (
    *("challenge_logs", "event_log", "voids", "member_history", "challenge_progress"),
    "progress_corrections",
)
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

    async def caught_up(self, models: Sequence[str]) -> None:
        """Wait until tables have all that was folded.

        Raises:
            Problem: 503, they are behind. Nothing would tell an answer that lacks inputs from a
                whole one.
        """
        if not await self.held.barrier.wait(models):
            raise unavailable(BEHIND)


@asynccontextmanager
async def asking(request: Request, caller: Caller) -> AsyncIterator[Asking]:
    """Yield what an explanation is made with, and bound the time that it takes.

    Raises:
        Problem: 410, a topic has the inputs no more; or 503, it takes too long, the project has
            others under way, or the broker does not answer.
        ClientDisconnect: the client is gone.
    """
    held = resources.of(request)
    versions = Versions(held.records, held.definitions.history, caller.project)
    seconds = END_USER_SECONDS if caller.key is None else KEY_SECONDS
    try:
        async with (
            asyncio.timeout(seconds),
            while_read(),
            held.explaining.permit(caller.project),
        ):
            await held.definitions.current()  # their history as well
            yield Asking(held, caller, versions)
    except Removed as error:
        logger.info("an explanation is not possible any more: %s", error)
        detail = "The topics have the inputs that led to this no more."
        raise Problem(410, detail, code="inputs_gone") from error
    except TimeoutError as error:
        raise unavailable("This takes too long; a repeat goes on from here.") from error
    except KafkaError as error:
        logger.warning("explanations: %s", str(error) or type(error).__name__)
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
        await asked.caught_up((*READ_MODELS[kind], *_LOGS))
        async with asked.held.reads.connection() as connection, snapshot(connection):
            row = await queries.one(connection, caller.project, kind, UUID(id_))
            if row is None or not may_see(caller, row["member_id"]):
                raise not_found(kind, record_id)
            plan = await _PLANS[kind](asked, connection, row)
        return await _carried_out(asked, plan, kind, str(row["id"]), row["member_id"])


async def explain_of_user(
    request: Request, caller: Caller, kind: str, definition_id: str, user_id: str
) -> Explanation:
    """Explain a user's streak or tier; see ``explain``."""
    member_id = UUID(ids.member_id(caller.project, user_id))
    if not may_see(caller, member_id):
        raise not_found(kind, definition_id)
    async with asking(request, caller) as asked:
        await asked.caught_up((*READ_MODELS[kind], *_LOGS))
        read = queries.streak if kind == "streak" else queries.tier
        async with asked.held.reads.connection() as connection, snapshot(connection):
            row = await read(connection, caller.project, member_id, definition_id)
            if row is None:
                raise not_found(kind, definition_id)
            plan = await (_streak if kind == "streak" else _tier)(asked, connection, row)
        return await _carried_out(asked, plan, kind, definition_id, member_id)


def may_see(caller: Caller, member_id: UUID) -> bool:
    """Tell whether a caller may see what is a member's: an end user its own."""
    user = caller.user
    own = None if user is None or user.is_admin else user.user_id
    return own is None or ids.member_id(caller.project, own) == str(member_id)


@dataclass(frozen=True)
class Found:
    """What led to something: inputs that are to be found, how they are shown, and the definitions
    by which they counted: versions, and such of which the last input's chunk knows the version."""

    wanted: Sequence[Wanted]
    shown: Callable[[Sequence[Place]], list[Input]]
    versions: set[int]
    named: tuple[Named, ...] = ()
    recalculation: str | None = None


Plan = Callable[[Places], Awaitable[Found]]
"""What is left to do once the tables are read."""


def _retold(
    asked: Asking,
    facts: progress.Facts,
    cut: Callable[[Sequence[ProgressStep]], list[ProgressStep]],
    *named: Named,
) -> Plan:
    """Return the plan of what the logs of a progress led to, up to some step."""

    async def plan(_places: Places) -> Found:
        steps = cut(await progress.steps(facts, asked.versions))
        return Found(
            progress.wanted(step.of for step in steps),
            lambda found: progress.shown(steps, found),
            progress.versions_of(facts, steps),
            named,
            progress.recalculation_of(steps),
        )

    return plan


async def _reward(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    return await _reward_until(asked, connection, row, None)


async def _reward_until(
    asked: Asking, connection: AsyncConnection, row: queries.Row, until: int | None
) -> Plan:
    """Return the plan of a reward, as it was at a place in the order; None: as it last was."""
    slug, linked = row["linked_schema_slug"], row["linked_schema_record_id"]
    id_, changed, reached = str(row["id"]), row["sequence"], row["reached_sequence"]
    milestone = Named(models.Milestone.kind, str(row["milestone_id"]))
    if slug == "challenge":
        facts = await _facts(asked, connection, row, linked)
        crossing = None
        if reached is not None:
            crossing = Crossing(row["reached_at"], row["reached_value"])
        return _retold(
            asked,
            facts,
            lambda steps: up_to_reward(up_to(steps, until), id_, changed, reached, crossing),
            milestone,
        )
    if slug == "streak":
        streak = await queries.streak(connection, asked.project, row["member_id"], linked)
        if streak is not None:
            reward = streaks.Reward(milestone, row["period_key"], changed, reached)
            return await _run(asked, connection, streak, reward, until)
    if slug == "pathway":
        return await _completions(asked, connection, row, milestone, until)
    detail = f"What led to a reward of a {slug} is not kept."
    raise Problem(422, detail, code="not_explained")


async def _run(
    asked: Asking,
    connection: AsyncConnection,
    row: queries.Row,
    reward: streaks.Reward,
    until: int | None,
) -> Plan:
    """Return the plan of the run that a reward of a streak was given for, as it was at a place in
    the order; None: when it was last given."""
    facts = await streaks.facts(connection, asked.project, asked.versions, row)

    async def plan(places: Places) -> Found:
        events = await streaks.counted(facts, asked.versions, places)
        place = until
        if place is None:
            place = await streaks.given_at(facts, events, reward, asked.versions, places)
        told = streaks.told(facts, events, place)
        return _hit(told.run_of(reward.period_key), reward.milestone)

    return plan


async def _completions(
    asked: Asking,
    connection: AsyncConnection,
    row: queries.Row,
    milestone: Named,
    until: int | None,
) -> Plan:
    """Return the plan of what a member completed in a pathway until it got a reward, as it was at a
    place in the order; None: when it was last given."""
    pathway = Named(models.Pathway.kind, row["linked_schema_record_id"])
    known = await pathways.changes(connection, asked.project, row["member_id"], pathway.id)
    reward = pathways.Reward(milestone, row["sequence"], row["reached_sequence"], row["reached_at"])

    async def plan(places: Places) -> Found:
        told = await pathways.told(known, pathway, reward, asked.versions, places, until=until)
        return Found(
            pathways.wanted(told, pathway.id),
            lambda found: pathways.shown(told, found),
            pathways.versions_of(told),
            (milestone,),
        )

    return plan


async def _streak(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    """Return the plan of a streak's latest run."""
    facts = await streaks.facts(connection, asked.project, asked.versions, row)

    async def plan(places: Places) -> Found:
        events = await streaks.counted(facts, asked.versions, places)
        return _hit(streaks.told(facts, events, None).latest())

    return plan


def _hit(steps: Sequence[StreakStep], *named: Named) -> Found:
    """Return what hit periods of a streak."""
    return Found(
        streaks.wanted(steps),
        lambda found: streaks.shown(steps, found),
        streaks.versions_of(steps),
        named,
    )


async def _progress(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    return _retold(asked, await _facts(asked, connection, row, str(row["challenge_id"])), list)


async def _facts(
    asked: Asking, connection: AsyncConnection, row: queries.Row, challenge_id: str
) -> progress.Facts:
    """Return the logs of the progress of a row's member and period in a challenge."""
    member_id, period_key = row["member_id"], row["period_key"]
    progress_id = ids.progress_id(asked.project, challenge_id, str(member_id), period_key)
    found = await progress.facts(
        connection,
        asked.project,
        member_id,
        UUID(challenge_id),
        progress_id=UUID(progress_id),
    )
    return found.checked()


async def _points(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    """Points of a completion or a milestone came from the inputs that led there; all others from
    the one that moved them."""
    kind, _, _ = row["action_id"].partition(":")
    sequence = row["sequence"]
    if row["operation"] == "grant" and row["event_id"] is None and kind in _GIVEN_FOR:
        source = UUID(row["source_id"])
        of = await queries.one(connection, asked.project, _GIVEN_FOR[kind], source)
        if of is not None and kind == "milestone":
            return await _reward_until(asked, connection, of, sequence)
        if of is not None:
            facts = await _facts(asked, connection, of, str(of["challenge_id"]))
            return _retold(asked, facts, lambda steps: up_to(steps, sequence, "completed"))
    found = _moved(row)

    async def plan(_places: Places) -> Found:
        return found

    return plan


_GIVEN_FOR = {"challenge": "progress", "milestone": "reward_log"}
"""What the points of an action are for."""


def _moved(row: queries.Row) -> Found:
    """Return the one input that moved points, and the definitions by which it did."""
    sequence, at = row["sequence"], row["created_at"]
    named = [Named(models.Wallet.kind, row["challenge_group"])]
    versions = set[int]()
    if row["void_id"] is not None:
        wanted = Wanted(sequence, MEMBER_COMMANDS, is_void(str(row["void_id"])), at)
    elif row["event_id"] is not None:
        wanted = Wanted(sequence, EVENTS, is_event(row["source_id"]), at)
        named += [Named(models.Boost.kind, id_) for id_ in row["boosts"] or ()]
        named += [Named(models.TierSet.kind, id_) for id_ in sorted(row["tier"] or {})]
        versions.add(row["definition_version"])
    elif row["operation"] in tiers.COMMANDS:
        check = is_command(row["operation"], row["source_id"])
        wanted = Wanted(sequence, MEMBER_COMMANDS, check, at)
    else:  # time did it, with whatever was folded then
        wanted = Wanted(sequence)
    return Found([wanted], lambda found: [_entry(row, found[0])], versions, tuple(named))


async def _tier(asked: Asking, connection: AsyncConnection, row: queries.Row) -> Plan:
    """Return the plan of a tier: the command that assigned it, or what it was judged by."""
    versions = {row["definition_version"]}
    rule = await asked.versions.tier_set(row["definition_version"])
    if rule is None or (row["assigned"] and row["reason"] == BY_HAND):
        check = None if rule is None else is_assignment(rule.id)
        wanted = Wanted(row["sequence"], None, check, row["created_at"])
        return _known(Found([wanted], lambda found: [_assigned(row, found[0])], versions))
    if rule.basis == PROGRESS:
        return await _judged_by_progress(asked, connection, row, rule)
    current = await asked.held.definitions.current()
    zone = current.timezone(asked.project)
    if current.goes_by_member(asked.project):
        zone = row["timezone"] or zone
    named = Named(models.TierSet.kind, rule.id)
    since = await asked.versions.defined_since(named, rule.version)
    facts = await tiers.facts(connection, asked.project, row, rule, zone=zone, since=since)
    return _known(
        Found(
            tiers.wanted(facts),
            lambda found: tiers.shown(facts.steps, found),
            versions | tiers.versions_of(facts),
        )
    )


async def _judged_by_progress(
    asked: Asking, connection: AsyncConnection, row: queries.Row, rule: TierSet
) -> Plan:
    """Return the plan of a tier that goes by the progress in the period of its moment."""
    until, current = row["sequence"], await asked.held.definitions.current()
    stored = current.get(asked.project, models.Challenge.kind, rule.challenge_id)
    if stored is None:
        raise Problem(422, "The challenge that it goes by is gone.", code="not_explained")
    challenge = compiled(current, stored)
    zone = member_of.zone(challenge, row["timezone"])
    period = period_key(challenge.period, zone, row["occurred_at"])
    facts = await _facts(asked, connection, {**row, "period_key": period}, rule.challenge_id)
    named = Named(models.TierSet.kind, rule.id)
    return _retold(asked, facts, lambda steps: up_to(steps, until), named)


def _known(found: Found) -> Plan:
    async def plan(_places: Places) -> Found:
        return found

    return plan


_PLANS: Mapping[str, Callable[[Asking, AsyncConnection, queries.Row], Awaitable[Plan]]] = {
    "reward_log": _reward,
    "progress": _progress,
    "points": _points,
}


async def _carried_out(
    asked: Asking, plan: Plan, kind: str, id_: str, member_id: UUID
) -> Explanation:
    """Find the inputs, and read the definitions."""
    places = asked.places(str(member_id))
    planned = await plan(places)
    found = await places.find(planned.wanted)
    versions = set(planned.versions)
    if found:
        known = found[-1].chunk.definitions
        named = (asked.versions.before(each, known) for each in planned.named)
        versions |= {version for version in named if version is not None}
    return Explanation(
        kind=kind,
        id=id_,
        member_id=str(member_id),
        inputs=planned.shown(found),
        definitions=await definitions(asked, versions),
        recalculation=UNSET if planned.recalculation is None else planned.recalculation,
    )


def _entry(row: Mapping[str, Any], place: Place) -> Input:
    points = number(row["points"])
    return input_at(
        place,
        row["occurred_at"],
        value=points,
        added=points,
        after=number(row["balance"]),
    )


def _assigned(row: Mapping[str, Any], place: Place) -> Input:
    """Return a command that assigned a tier: it moves no basis."""
    return input_at(
        place,
        row["created_at"],
        value=NULL,
        added=Raw(b"0"),
        after=number(row["basis_value"]),
    )


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

"""The events that a streak's periods were hit by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Raw
from psycopg import AsyncConnection

from api.explaining.answers import Input, input_at
from api.explaining.places import Place, Places, Wanted, is_event
from api.explaining.progress import MOST_INPUTS, too_many
from api.explaining.versions import Named, Versions
from api.queries import explanations as queries
from processor.domain.retelling.progress import Statuses
from processor.domain.retelling.streaks import Qualifying, Step, Told, last_reached, retell
from processor.domain.rules import Streak
from schemas import definitions as models
from schemas.outputs import NULL
from schemas.topics import EVENTS

MOST_VERSIONS = 200
"""Of a streak that are looked at, the newest."""

Rules = Mapping[int, tuple[Streak, frozenset[str]]]
"""A streak by its versions, and the events that it named."""


@dataclass(frozen=True)
class Facts:
    """What the tables have of a member's streak."""

    streak_id: str
    period: str
    timezone: str
    rules: Rules
    events: Sequence[queries.Row]
    statuses: Statuses


async def facts(
    connection: AsyncConnection, project: str, versions: Versions, row: queries.Row
) -> Facts:
    """Return the events that may have hit a streak; see ``Versions.of``.

    Raises:
        Problem: 422, they are too many.
    """
    streak_id, member_id = row["streak_id"], row["member_id"]
    known = versions.all_of(Named(models.Streak.kind, streak_id))[-MOST_VERSIONS:]
    rules = await versions.streaks(known)
    names = frozenset[str]().union(*(events for _, events in rules.values()))
    found = await queries.events(connection, project, member_id, names, MOST_INPUTS + 1)
    if len(found) > MOST_INPUTS:
        raise too_many()
    statuses = Statuses(await queries.statuses(connection, project, member_id))
    return Facts(streak_id, row["period"], row["timezone"], rules, found, statuses)


async def counted(facts: Facts, versions: Versions, places: Places) -> list[Qualifying]:
    """Return the events that counted for the streak, voided or not; see ``Places.find``."""
    events = sorted(facts.events, key=lambda row: row["sequence"])
    sequences = [row["sequence"] for row in events]
    in_force = await _in_force(facts, versions, places, sequences)
    qualifying = []
    for row, version in zip(events, in_force, strict=True):
        rule, names = facts.rules.get(version, (None, ()))
        if (
            rule is not None
            and row["event_id"] in names
            and facts.statuses.at(row["sequence"]) == "live"
        ):
            qualifying.append(_qualifying(row, rule))
    return qualifying


def told(facts: Facts, events: Sequence[Qualifying], until: int | None) -> Told:
    """Return what hit the streak up to a place in the order."""
    return retell(events, facts.period, facts.timezone, until)


@dataclass(frozen=True)
class Reward:
    """A reward of a streak: the milestone, the period it is of, where it last changed, and where
    its milestone was first reached, None where no table has that."""

    milestone: Named
    period_key: str
    changed: int
    reached: int | None


async def given_at(
    facts: Facts,
    events: Sequence[Qualifying],
    reward: Reward,
    versions: Versions,
    places: Places,
) -> int | None:
    """Return the place in the order at which a reward was last given, None where no table has it;
    see ``Places.find``."""
    if reward.reached is None or all(event.voided_at is None for event in events):
        return reward.reached
    known = versions.before(reward.milestone, await places.definitions_at(reward.changed))
    change = None if known is None else await versions.of(known)
    if change is None or not isinstance(change.definition, models.Milestone):
        return reward.reached
    return last_reached(
        events,
        facts.period,
        facts.timezone,
        reward.period_key,
        target=math.ceil(change.definition.milestone_target_value),
        first=reward.reached,
        until=reward.changed,
    )


def _qualifying(row: queries.Row, rule: Streak) -> Qualifying:
    return Qualifying(
        id=row["id"],
        occurred_at=row["occurred_at"],
        created_at=row["created_at"],
        sequence=row["sequence"],
        version=row["version"],
        rule=rule,
        voided_at=row["voided_at"],
    )


async def _in_force(
    facts: Facts, versions: Versions, places: Places, sequences: Sequence[int]
) -> list[int]:
    """Return the version of the streak that each place in the order was folded under, -1 for none.

    Versions never go back, so only where they change is searched for.
    """
    named = Named(models.Streak.kind, facts.streak_id)
    found = [-1] * len(sequences)

    async def at(place: int) -> int:
        known = await places.definitions_at(sequences[place])
        version = versions.before(named, known)
        return -1 if version is None else version

    async def fill(low: int, first: int, high: int, last: int) -> None:
        """Fill the places between two whose versions are known."""
        if first == last:
            found[low : high + 1] = [first] * (high - low + 1)
            return
        found[low], found[high] = first, last
        if high - low > 1:
            middle = (low + high) // 2
            between = await at(middle)
            await fill(low, first, middle, between)
            await fill(middle, between, high, last)

    if sequences:
        await fill(0, await at(0), len(sequences) - 1, await at(len(sequences) - 1))
    return found


def wanted(steps: Sequence[Step]) -> list[Wanted]:
    """Return how the events are found; see ``progress.wanted``."""
    first = min((step.of.sequence for step in steps), default=0)
    return [
        Wanted(
            step.of.sequence,
            EVENTS,
            is_event(step.of.id),
            step.of.created_at,
            step.of.sequence != first,
        )
        for step in steps
    ]


def shown(steps: Sequence[Step], places: Sequence[Place]) -> list[Input]:
    """Return the steps as they are answered: each adds a period to its run."""
    return [
        input_at(
            place,
            step.of.occurred_at,
            value=NULL,
            added=Raw(b"1"),
            after=Raw(b"%d" % step.after),
        )
        for step, place in zip(steps, places, strict=True)
    ]


def versions_of(steps: Sequence[Step]) -> set[int]:
    """Return the versions of the streak and of the events by which periods were hit."""
    return {step.of.rule.version for step in steps} | {step.of.version for step in steps}

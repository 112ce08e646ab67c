"""The inputs by which a member came to a milestone of a pathway."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Raw
from psycopg import AsyncConnection

from api.explaining.answers import Input, input_at
from api.explaining.places import Place, Places, Wanted, is_activity, is_enrolment, is_void
from api.explaining.progress import MOST_INPUTS, too_many
from api.explaining.versions import Named, Versions
from api.queries import explanations as queries
from processor.domain.retelling.pathways import Change, Step, last_reached, retell
from schemas import definitions as models
from schemas.outputs import NULL
from schemas.topics import MEMBER_COMMANDS


@dataclass(frozen=True)
class Reward:
    """A reward of a pathway: the milestone, where it last changed, and where and when its milestone
    was first reached, None where no table has that."""

    milestone: Named
    changed: int
    reached: int | None
    reached_at: datetime | None


@dataclass(frozen=True)
class Told:
    """What led to a reward: the steps, the place at which it was given, where that is none of them,
    and the version of the pathway there."""

    steps: Sequence[Step]
    given_by: Step | None
    version: int | None

    @property
    def all(self) -> list[Step]:
        """All inputs, in order."""
        return [*self.steps, *([] if self.given_by is None else [self.given_by])]


async def changes(
    connection: AsyncConnection, project: str, member_id: UUID, pathway_id: str
) -> list[Change]:
    """Return what a member completed in a pathway, and when it was enrolled.

    Raises:
        Problem: 422, that is too much.
    """
    rows = await queries.pathway_changes(
        connection, project, member_id, pathway_id, MOST_INPUTS + 1
    )
    if len(rows) > MOST_INPUTS:
        raise too_many()
    return [msgspec.convert(row, Change) for row in rows]


async def told(
    known: Sequence[Change],
    pathway: Named,
    reward: Reward,
    versions: Versions,
    places: Places,
    *,
    until: int | None,
) -> Told:
    """Return what led to a reward, as it was at a place in the order; None: as it last was given.
    See ``Places.find``."""
    place = until
    if place is None:
        place = await _given_at(known, pathway, reward, versions, places)
    version = versions.before(pathway, await places.definitions_at(place))
    steps = retell(known, await _required(version, versions), place)
    given_by = None
    if not any(step.of.sequence == place for step in steps):
        given_by = _unlike_the_others(steps, place, reward.reached_at)
    return Told(steps, given_by, version)


def _unlike_the_others(steps: Sequence[Step], place: int, at: datetime | None) -> Step | None:
    """Return the input that a milestone was given with, where that had been reached before: it was
    added later, or its target was lowered."""
    if at is None:
        return None
    change = Change(
        activity_id="", complete=True, at=at, recorded_at=at, void_id=None, version=-1,
        sequence=place,
    )  # fmt: skip
    return Step(change, 0, steps[-1].after if steps else 0)


async def _given_at(
    known: Sequence[Change], pathway: Named, reward: Reward, versions: Versions, places: Places
) -> int:
    if reward.reached is None or all(change.void_id is None for change in known):
        return reward.changed if reward.reached is None else reward.reached
    at = await places.definitions_at(reward.changed)
    version = versions.before(reward.milestone, at)
    change = None if version is None else await versions.of(version)
    if change is None or not isinstance(change.definition, models.Milestone):
        return reward.reached
    return last_reached(
        known,
        await _required(versions.before(pathway, at), versions),
        target=math.ceil(change.definition.milestone_target_value),
        first=reward.reached,
        until=reward.changed,
    )


async def _required(version: int | None, versions: Versions) -> Set[str]:
    """Return the activities that a version of a pathway asks for; none where there is no such."""
    change = None if version is None else await versions.of(version)
    if change is None or not isinstance(change.definition, models.Pathway):
        return frozenset()
    return {each.id for each in change.definition.activities if each.required}


def wanted(told: Told, pathway_id: str) -> list[Wanted]:
    """Return how the inputs are found; see ``progress.wanted``."""
    first = min((step.of.sequence for step in told.all), default=0)
    return [
        Wanted(step.of.sequence)
        if step is told.given_by
        else _wanted(step.of, pathway_id)._replace(is_sure=step.of.sequence != first)
        for step in told.all
    ]


def _wanted(change: Change, pathway_id: str) -> Wanted:
    if change.void_id is not None:
        check = is_void(change.void_id)
        return Wanted(change.sequence, MEMBER_COMMANDS, check, change.recorded_at)
    if change.activity_id:
        check = is_activity(pathway_id, change.activity_id)
        return Wanted(change.sequence, None, check, change.recorded_at)
    return Wanted(change.sequence, MEMBER_COMMANDS, is_enrolment(pathway_id), change.recorded_at)


def shown(told: Told, places: Sequence[Place]) -> list[Input]:
    """Return the steps as they are answered: each adds a required activity, or takes one."""
    return [
        input_at(
            place,
            step.of.at,
            value=NULL,
            added=Raw(b"%d" % step.added),
            after=Raw(b"%d" % step.after),
        )
        for step, place in zip(told.all, places, strict=True)
    ]


def versions_of(told: Told) -> set[int]:
    """Return the versions of the pathway by which inputs counted."""
    found = {step.of.version for step in told.steps}
    return found if told.version is None else found | {told.version}

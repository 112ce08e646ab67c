"""The inputs of a progress: its logs, their voids and corrections out of the tables, judged and
told again."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from api.explaining.answers import Input, amount, input_at, number
from api.explaining.places import Place, Wanted, is_correction, is_event, is_log, is_void
from api.explaining.versions import Versions
from api.http.problems import Problem
from api.queries import explanations as queries
from processor.domain.retelling.progress import (
    Corrected,
    Judge,
    Logged,
    Moving,
    Statuses,
    Step,
    Voided,
    retell,
)
from schemas.topics import CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS

MOST_INPUTS = 10_000
"""Logs of one progress that are told again; more are refused."""


class Facts(msgspec.Struct, frozen=True):
    """What the tables have of a member's logs of one challenge."""

    logs: Sequence[Logged]
    voids: Sequence[Voided]
    statuses: Statuses
    events: Mapping[str, int]
    """Of logs that events fed, by their id: the version of the event's definition."""
    corrections: Sequence[Corrected] = ()
    """Of the progress, where one is named."""

    def checked(self) -> "Facts":
        """Return them where they are not too many.

        Raises:
            Problem: 422.
        """
        if len(self.logs) > MOST_INPUTS:
            raise too_many()
        return self


def too_many() -> Problem:
    """Return that more inputs led to something than are told."""
    detail = f"More than {MOST_INPUTS} inputs led to this."
    return Problem(422, detail, code="too_many_inputs")


async def facts(
    connection: AsyncConnection,
    project: str,
    member_id: UUID,
    challenge_id: UUID,
    *,
    progress_id: UUID | None = None,
    unique_identifier: str | None = None,
) -> Facts:
    """Return a member's newest logs of a challenge, or all of one progress, or the one with an
    identifier, and their voids."""
    rows = await queries.logs(
        connection,
        project,
        member_id,
        challenge_id,
        progress_id=progress_id,
        unique_identifier=unique_identifier,
        limit=MOST_INPUTS + 1,
    )
    logs = [msgspec.convert(row, Logged) for row in rows]
    by_event = {log.unique_identifier: log.id for log in logs if log.fed}
    named = [log.id for log in logs if not log.fed] + list(by_event)
    voids = [
        Voided(
            void_id=row["void_id"],
            log_id=by_event[row["log_id"]] if row["log_id"] in by_event else row["log_id"],
            portion=row["portion"],
            at=row["at"],
            sequence=row["sequence"],
        )
        for row in await queries.voids(connection, project, named)
    ]
    statuses = await queries.statuses(connection, project, member_id)
    corrections: list[Corrected] = []
    if progress_id is not None:
        found = await queries.corrections(connection, project, progress_id)
        corrections = [msgspec.convert(row, Corrected) for row in found]
    return Facts(
        logs,
        voids,
        Statuses(statuses),
        {row["id"]: row["event_version"] for row in rows if row["fed"]},
        corrections,
    )


async def judge(facts: Facts, versions: Versions) -> Judge:
    """Return who judges these logs; see ``Versions.of``."""
    rules = await versions.challenges(log.version for log in facts.logs)
    return Judge(rules, facts.statuses)


async def steps(facts: Facts, versions: Versions) -> list[Step]:
    """Return what moved the progress that the logs belong to; see ``Versions.of``."""
    judging = await judge(facts, versions)
    counted = [log for log in facts.logs if judging.uncounted_because(log) is None]
    return retell(counted, facts.voids, facts.corrections)


def wanted(things: Iterable[Moving]) -> list[Wanted]:
    """Return how the inputs of logs, voids and corrections are found.

    What waited for its member was folded with the input that brought it, before all that the
    member has beside, or by ticks: only what stands first may have come with another.
    """
    things = list(things)
    first = min((each.sequence for each in things), default=0)
    return [_wanted(each, is_sure=each.sequence != first) for each in things]


def _wanted(thing: Moving, *, is_sure: bool) -> Wanted:
    if isinstance(thing, Voided):
        return Wanted(thing.sequence, MEMBER_COMMANDS, is_void(thing.void_id), thing.at)
    if isinstance(thing, Corrected):
        return Wanted(thing.sequence, MEMBER_COMMANDS, is_correction(thing.id), thing.at)
    if thing.fed:
        check, topic = is_event(thing.unique_identifier), EVENTS
    else:
        check, topic = is_log(thing.id), CHALLENGE_LOGS
    return Wanted(thing.sequence, topic, check, thing.created_at, is_sure)


def shown(steps: Sequence[Step], places: Sequence[Place]) -> list[Input]:
    """Return the steps as they are answered."""
    return [
        input_at(
            place,
            step.of.activity_at if isinstance(step.of, Logged) else step.of.at,
            value=number(value_of(step.of)),
            added=amount(step.added),
            after=amount(step.after),
        )
        for step, place in zip(steps, places, strict=True)
    ]


def value_of(thing: Moving) -> Decimal | None:
    """Return what an input says: a log's value, what a correction moves; of a void nothing."""
    if isinstance(thing, Corrected):
        return thing.difference
    return None if isinstance(thing, Voided) else thing.activity_value


def recalculation_of(steps: Sequence[Step]) -> str | None:
    """Return the latest recalculation that corrected the progress, None where none did."""
    corrected = [step.of for step in steps if isinstance(step.of, Corrected)]
    return corrected[-1].recalculation_id if corrected else None


def versions_of(facts: Facts, steps: Sequence[Step]) -> set[int]:
    """Return the versions of the challenge, and of events that fed it, by which logs counted and
    corrections were made."""
    found: set[int] = set()
    for step in steps:
        if isinstance(step.of, Logged | Corrected):
            found.add(step.of.version)
            if step.of.id in facts.events:
                found.add(facts.events[step.of.id])
    return found

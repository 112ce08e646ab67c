"""What a tier was judged by when it last changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Raw
from psycopg import AsyncConnection

from api.explaining.answers import Input, input_at, number
from api.explaining.places import (
    Check,
    Place,
    Wanted,
    any_of,
    is_command,
    is_event,
    is_log,
    is_void,
)
from api.explaining.progress import MOST_INPUTS, too_many
from api.http.problems import Problem
from api.queries import explanations as queries
from processor.domain.retelling.tiers import Entry, Judged, Step, earliest, retell
from processor.domain.rules import TierSet

COMMANDS = ("redeem", "spend", "capture", "adjust")


@dataclass(frozen=True)
class Facts:
    """The entries that moved a basis; of completions and milestones, the logs at their place."""

    steps: Sequence[Step]
    logs: Mapping[int, Sequence[Check]]
    versions: Mapping[str, int]
    """Of entries of events, by their id: the version of the event's definition."""


async def facts(
    connection: AsyncConnection,
    project: str,
    row: queries.Row,
    rule: TierSet,
    *,
    zone: str,
    since: datetime,
) -> Facts:
    """Return what a tier was judged by, where that is what was earned or the balance.

    Raises:
        Problem: 422, more inputs than are told, or they do not come to the basis.
    """
    member_id, sequence = row["member_id"], row["sequence"]
    earned = rule.basis == "earned"
    moving = queries.Moving(
        wallet=rule.wallet,
        earned=earned,
        earliest=earliest(rule, row["occurred_at"]),
        since=None if rule.for_life else since,
    )
    rows = await queries.entries(
        connection, project, member_id, moving, until=sequence, limit=MOST_INPUTS + 1
    )
    if len(rows) > MOST_INPUTS:
        raise too_many()
    entries = [
        msgspec.convert(each | {"points": each["earned" if earned else "points"]}, Entry)
        for each in rows
    ]
    judged = Judged(row["occurred_at"], row["basis_value"], sequence, zone, since)
    steps = retell(entries, rule, judged)
    if steps is None:
        detail = "What the tables have does not come to what the tier was judged by."
        raise Problem(422, detail, code="not_explained")
    others = {step.of.sequence for step in steps if _is_given(step.of)}
    logs: dict[int, list[Check]] = {}
    for place, log_id, identifier in await queries.logs_at(connection, project, member_id, others):
        logs.setdefault(place, []).append(any_of(is_log(log_id), is_event(identifier)))
    return Facts(steps, logs, {each["id"]: each["version"] for each in rows if each["event_id"]})


def _is_given(entry: Entry) -> bool:
    return entry.operation == "grant" and entry.event_id is None


def wanted(facts: Facts) -> list[Wanted]:
    """Return how the inputs are found; see ``progress.wanted``."""
    first = min((step.of.sequence for step in facts.steps), default=0)
    return [_wanted(facts, step.of, is_sure=step.of.sequence != first) for step in facts.steps]


def _wanted(facts: Facts, entry: Entry, *, is_sure: bool) -> Wanted:
    check: Check | None = None
    if entry.void_id is not None:
        check = is_void(entry.void_id)
    elif entry.event_id is not None:
        check = is_event(entry.source_id)
    elif entry.operation in COMMANDS:
        check = is_command(entry.operation, entry.source_id)
    elif entry.sequence in facts.logs:
        check = any_of(*facts.logs[entry.sequence])
    return Wanted(entry.sequence, None, check, entry.created_at, is_sure)


def shown(steps: Sequence[Step], places: Sequence[Place]) -> list[Input]:
    """Return the entries as they are answered."""
    return [
        input_at(
            place,
            step.of.occurred_at,
            value=number(step.of.points),
            added=number(step.of.points),
            after=Raw(b"%d" % step.after),
        )
        for step, place in zip(steps, places, strict=True)
    ]


def versions_of(facts: Facts) -> set[int]:
    """Return the versions of the events whose points these are."""
    return {facts.versions[step.of.id] for step in facts.steps if step.of.id in facts.versions}

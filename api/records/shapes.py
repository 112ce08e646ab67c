"""From rows to records as they are shown: exact numbers, and what is joined from other tables."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Raw
from psycopg import AsyncConnection

from api.queries import records as queries
from api.queries.records import Row
from api.records.fields import CHALLENGE, CHALLENGE_LOG, MILESTONE, REWARD_LOG, Records

Shown = dict[str, Any]
"""A record by its fields' names, in their order; msgspec encodes it exactly."""

_PROGRESS_COLUMNS = {
    "id": "progress_id",
    "challengeId": "challengeId",
    "ownedById": "ownedById",
    "periodKey": "period_key",
    "aggregationMethod": "aggregation_method",
    "aggregationPeriod": "aggregation_period",
    "timezone": "timezone",
    "currentProgressValue": "progress_value",
    "challengeProgressStatus": "progress_status",
    "challengeStartedAt": "challenge_started_at",
    "challengeCompletedAt": "challenge_completed_at",
    "challengeFailedAt": "challenge_failed_at",
    "createdAt": "progress_created_at",
    "updatedAt": "progress_updated_at",
}
"""The fields of a challenge log's progress, and where the log's row keeps each."""


async def shown(
    connection: AsyncConnection,
    records: Records,
    project: str,
    rows: Sequence[Row],
    names: Sequence[str],
) -> list[Shown]:
    """Return rows as the records face shows them, with the fields named and no others."""
    joined: list[Shown] = [{} for _ in rows]
    if set(names) & set(records.joined):
        if records is CHALLENGE_LOG:
            joined = await _log_joins(connection, project, rows)
        elif records is REWARD_LOG:
            joined = await _reward_joins(connection, project, rows)
    return [
        {name: extra[name] if name in extra else exact(row[name]) for name in names}
        for row, extra in zip(rows, joined, strict=True)
    ]


def exact(value: object) -> object:
    """Return a column's value so that its JSON is the shortest exact number."""
    return Raw(number_text(value).encode()) if isinstance(value, Decimal) else value


def number_text(value: Decimal) -> str:
    """Return a finite decimal as the shortest plain JSON number, however many digits it has.

    What a sum of amounts comes to can have more digits than an amount may.
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return "0" if text == "-0" else text


def _own(records: Records, row: Row) -> Shown:
    return {field.name: exact(row[field.name]) for field in records.fields}


async def _milestones(
    connection: AsyncConnection, project: str, ids: Iterable[UUID | None]
) -> Mapping[UUID | None, Shown]:
    wanted = {id_ for id_ in ids if id_ is not None}
    rows = await queries.some(connection, MILESTONE, project, wanted)
    return {id_: _own(MILESTONE, row) for id_, row in rows.items()}


async def _reward_joins(
    connection: AsyncConnection, project: str, rows: Sequence[Row]
) -> list[Shown]:
    milestones = await _milestones(connection, project, (row["milestoneId"] for row in rows))
    return [{"milestone": milestones.get(row["milestoneId"])} for row in rows]


async def _log_joins(connection: AsyncConnection, project: str, rows: Sequence[Row]) -> list[Shown]:
    """Return what is joined to challenge logs: progress as it was, everything else as it is."""
    challenge_ids = {row["challengeId"] for row in rows}
    challenges = await queries.some(connection, CHALLENGE, project, challenge_ids)
    reward_ids = {id_ for row in rows for id_ in row["achieved_milestone_reward_log_ids"]}
    rewards = await queries.some(connection, REWARD_LOG, project, reward_ids)
    milestones = await _milestones(
        connection,
        project,
        (
            *(id_ for row in rows for id_ in row["achieved_milestone_ids"]),
            *(row["next_milestone_id"] for row in rows),
            *(reward["milestoneId"] for reward in rewards.values()),
        ),
    )
    rewards_shown = {
        id_: _own(REWARD_LOG, row) | {"milestone": milestones.get(row["milestoneId"])}
        for id_, row in rewards.items()
    }
    return [_log_join(row, challenges, milestones, rewards_shown) for row in rows]


def _log_join(
    row: Row,
    challenges: Mapping[UUID, Row],
    milestones: Mapping[UUID | None, Shown],
    rewards: Mapping[UUID, Shown],
) -> Shown:
    challenge = challenges.get(row["challengeId"])
    reached = [milestones[id_] for id_ in row["achieved_milestone_ids"] if id_ in milestones]
    granted = [rewards[id_] for id_ in row["achieved_milestone_reward_log_ids"] if id_ in rewards]
    return {
        "challenge": None if challenge is None else _own(CHALLENGE, challenge),
        "challengeProgress": _progress_then(row),
        "achievedMilestone": reached[-1] if reached else None,
        "nextMilestone": milestones.get(row["next_milestone_id"]),
        "achievedMilestoneRewardLog": granted[-1] if granted else None,
        "achievedMilestones": reached,
        "achievedMilestoneRewardLogs": granted,
    }


def _progress_then(row: Row) -> Shown | None:
    """Return the progress as it was after the log; None where the log found and made none."""
    if row["progress_id"] is None:
        return None
    return {name: exact(row[column]) for name, column in _PROGRESS_COLUMNS.items()}

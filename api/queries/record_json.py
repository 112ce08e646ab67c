"""Records as JSON, made by the database.

One statement returns a record with everything that is joined to it, from one snapshot. No Python
objects are made on the way, which took three times as long as the statement. Numbers are exact and
as short as possible, times are RFC 3339 in UTC, as the processor writes both.
"""

from collections.abc import Iterable
from functools import lru_cache

from psycopg import sql

from api.queries.record_fields import (
    CHALLENGE,
    CHALLENGE_LOG,
    CHALLENGE_PROGRESS,
    MILESTONE,
    REWARD_LOG,
    Field,
    Kind,
    Records,
)

ROW = sql.Identifier("r")
"""The alias that statements give the row that becomes JSON."""

_PROGRESS_COLUMNS = {
    "id": "progress_id",
    "currentProgressValue": "progress_value",
    "challengeProgressStatus": "progress_status",
    "createdAt": "progress_created_at",
    "updatedAt": "progress_updated_at",
}
"""The columns of a challenge log that hold its progress, where their names differ."""

_NONE = sql.SQL("")
# The colons are quoted for pgbench, which takes `:MI` for a variable.
TIME = sql.SQL(
    """replace(to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'), """
    "'.000000', '')"
)
"""The SQL of a moment as the processor writes it, of a column."""

Named = tuple[str, sql.Composable]
"""A field and the SQL of its value."""


@lru_cache(maxsize=256)  # bounded: callers choose the fields
def record_json(records: Records, names: tuple[str, ...]) -> sql.Composable:
    """Return the SQL of a row's JSON with these fields of it and no others, in this order.

    Where they are all, those that say nothing are left out, and the others of them come last.
    """
    values = dict(_own(records, ROW))
    silent = [field for field in records.fields if field.silent and names == records.names]
    if records is CHALLENGE_LOG:
        values |= _log_joins()
    if records is REWARD_LOG:
        values |= [_milestone_of_reward(ROW)]
    shown = [(name, values[name]) for name in names if all(f.name != name for f in silent)]
    made = sql.SQL("{}::text").format(_object(shown))
    for field in silent:
        made = _besides(made, field)
    return sql.SQL(made.as_string(None))  # composed once


def _besides(made: sql.Composed, field: Field) -> sql.Composed:
    """Return the SQL of an object's text, and a field at its end where that says something."""
    return sql.SQL(
        "(SELECT CASE WHEN {row}.{column} IN ({silent}) THEN made ELSE "
        "left(made, -1) || ',' || ltrim({shown}::text, '{{') END FROM (SELECT {made} AS made) AS m)"
    ).format(
        row=ROW,
        column=sql.Identifier(field.column),
        silent=sql.SQL(field.silent),
        shown=_object([(field.name, value_json(field, ROW))]),
        made=made,
    )


def _own(records: Records, row: sql.Composable) -> list[Named]:
    return [
        (field.name, value_json(field, row)) for field in (*records.fields, *records.only_shown)
    ]


def _joined(records: Records, row: sql.Composable) -> list[Named]:
    """Return what is shown of a record that is joined to another."""
    said = {field.name for field in records.fields if not field.silent}
    said.update(field.name for field in records.only_shown)
    return [named for named in _own(records, row) if named[0] in said]


def value_json(field: Field, row: sql.Composable) -> sql.Composable:
    """Return the SQL of a field's value that becomes the right JSON, given the name of its row."""
    column = sql.SQL("{}.{}").format(row, sql.Identifier(field.column))
    if field.kind is Kind.NUMBER:
        return sql.SQL("trim_scale({}::numeric)").format(column)
    if field.kind is Kind.TIME:
        return TIME.format(column)
    if field.kind is Kind.OBJECT:
        return sql.SQL("coalesce({}, '{{}}')").format(column)
    return column


def _object(fields: Iterable[Named], source: sql.Composable = _NONE) -> sql.Composable:
    """Return the SQL of an object; null where there is a source and it has no row."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(value, sql.Identifier(name)) for name, value in fields
    )
    return sql.SQL("(SELECT row_to_json(o) FROM (SELECT {} {}) AS o)").format(columns, source)


def _one(records: Records, alias: str, id_: sql.Composable) -> sql.Composable:
    """Return the SQL of the record of this id, of the same project as the row."""
    row = sql.Identifier(alias)
    source = sql.SQL("FROM {} AS {} WHERE {}").format(_table(records), row, _is(alias, id_))
    return _object(_joined(records, row), source)


def _log_joins() -> list[Named]:
    """Return what is joined to a challenge log: progress as it was, everything else as it is."""
    progress = [
        (field.name, value_json(_as_in_log(field), ROW)) for field in CHALLENGE_PROGRESS.fields
    ]
    milestone, reward = sql.Identifier("m"), sql.Identifier("w")
    milestones = _Several("achieved_milestone_ids", MILESTONE, "m", _joined(MILESTONE, milestone))
    rewards = _Several(
        "achieved_milestone_reward_log_ids",
        REWARD_LOG,
        "w",
        [*_joined(REWARD_LOG, reward), _milestone_of_reward(reward)],
    )
    return [
        ("challenge", _one(CHALLENGE, "c", sql.SQL("r.challenge_id"))),
        (
            "challengeProgress",
            sql.SQL("CASE WHEN r.progress_id IS NOT NULL THEN {} END").format(_object(progress)),
        ),
        ("achievedMilestone", milestones.last()),
        ("nextMilestone", _one(MILESTONE, "n", sql.SQL("r.next_milestone_id"))),
        ("achievedMilestoneRewardLog", rewards.last()),
        ("achievedMilestones", milestones.all()),
        ("achievedMilestoneRewardLogs", rewards.all()),
    ]


def _as_in_log(field: Field) -> Field:
    """Return a progress' field as a log's row has it."""
    return Field(field.name, _PROGRESS_COLUMNS.get(field.name, field.column), field.kind)


def _milestone_of_reward(row: sql.Composable) -> Named:
    return "milestone", _one(MILESTONE, "n", sql.SQL("{}.milestone_id").format(row))


class _Several:
    """The records that a column of the row has the ids of, in the order of these."""

    def __init__(self, ids: str, records: Records, alias: str, fields: list[Named]) -> None:
        self._parts = {
            "ids": sql.SQL("{}.{}").format(ROW, sql.Identifier(ids)),
            "object": _object(fields),
            "source": sql.SQL("{} AS {}").format(_table(records), sql.Identifier(alias)),
            "found": _is(alias, sql.SQL("a.id")),
        }

    def all(self) -> sql.Composable:
        """Return the SQL of a list of them."""
        return sql.SQL(
            """
            CASE WHEN cardinality({ids}) = 0 THEN '[]'::json ELSE coalesce((
                SELECT json_agg({object} ORDER BY a.place)
                FROM unnest({ids}) WITH ORDINALITY AS a (id, place) JOIN {source} ON {found}
            ), '[]'::json) END
            """
        ).format(**self._parts)

    def last(self) -> sql.Composable:
        """Return the SQL of the last one; null where there is none."""
        return sql.SQL(
            """
            CASE WHEN cardinality({ids}) > 0 THEN (
                SELECT {object}
                FROM unnest({ids}) WITH ORDINALITY AS a (id, place) JOIN {source} ON {found}
                ORDER BY a.place DESC LIMIT 1
            ) END
            """
        ).format(**self._parts)


def _table(records: Records) -> sql.Composable:
    return sql.Identifier("milestream", records.table)


def _is(alias: str, id_: sql.Composable) -> sql.Composable:
    return sql.SQL("{0}.project = {1}.project AND {0}.id = {2}").format(
        sql.Identifier(alias), ROW, id_
    )

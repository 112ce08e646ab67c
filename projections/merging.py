"""How rows with the same key are merged, within a batch and against the table.

Both must do the same, for where a batch ends is chance.
"""

from collections.abc import Callable, Mapping
from typing import Any, LiteralString

from psycopg import sql

from projections.projection import Combination, Projection, Row

_IN_PYTHON: Mapping[Combination, Callable[[Any, Any], Any]] = {
    "sum": lambda before, after: before + after,
    "union": lambda before, after: before | after,
    "greatest": max,
}
_IN_SQL: Mapping[Combination, LiteralString] = {
    "sum": "{0} = target.{0} + excluded.{0}",
    "union": "{0} = target.{0} | excluded.{0}",
    "greatest": "{0} = greatest(target.{0}, excluded.{0})",
}


def merge_in_batch(projection: Projection) -> Callable[[Row, Row], Row] | None:
    """Return what makes one row of an earlier and a later one; None where rows are facts."""
    if projection.combined:
        return _combining(projection)
    return None if projection.newest_by is None else _newest(projection, projection.newest_by)


def on_conflict(projection: Projection) -> sql.Composable:
    """Return what follows ``ON CONFLICT (…) DO``; the table's row is called ``target``."""
    if projection.combined:
        return sql.SQL("UPDATE SET ") + sql.SQL(", ").join(
            sql.SQL(_IN_SQL[how]).format(sql.Identifier(column))
            for column, how in projection.combined.items()
        )
    if projection.newest_by is None:
        return sql.SQL("NOTHING")
    fixed = {*projection.key, *projection.kept}
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column))
        for column in projection.columns
        if column not in fixed
    )
    return sql.SQL("UPDATE SET {0} WHERE excluded.{1} >= target.{1}").format(
        assignments, sql.Identifier(projection.newest_by)
    )


def _combining(projection: Projection) -> Callable[[Row, Row], Row]:
    combinations = [
        (projection.columns.index(column), _IN_PYTHON[how])
        for column, how in projection.combined.items()
    ]

    def combine(before: Row, after: Row) -> Row:
        values = list(before)
        for place, of_both in combinations:
            values[place] = of_both(before[place], after[place])
        return tuple(values)

    return combine


def _newest(projection: Projection, column: str) -> Callable[[Row, Row], Row]:
    newest = projection.columns.index(column)
    kept = [projection.columns.index(name) for name in projection.kept]

    def newer(before: Row, after: Row) -> Row:
        if after[newest] < before[newest]:  # type: ignore[operator]
            return before
        if not kept:
            return after
        values = list(after)
        for place in kept:
            values[place] = before[place]
        return tuple(values)

    return newer

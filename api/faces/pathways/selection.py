"""Selects a pathway and activities by ID or name, without regard to case."""

from collections.abc import Sequence

from api.faces.pathways.bodies import LogsQuery, Names
from api.http.problems import Problem, clipped, not_found
from api.queries.pathway_logs import Activity, Pathway
from schemas.activity_types import CHECKPOINT, TRACKING, type_named
from schemas.caseless import caseless


def pathway_named(text: str, pathways: Sequence[Pathway]) -> Pathway:
    """Return the pathway of an ID or name; an ID takes precedence, and so does an exact match.

    Raises:
        Problem: 404 where it means none, 400 where it means several.
    """
    wanted = caseless(text)
    ways = (
        [each for each in pathways if each.id == text],
        [each for each in pathways if caseless(each.id) == wanted],
        [each for each in pathways if each.name == text],
        [each for each in pathways if caseless(each.name) == wanted],
    )
    found = next((way for way in ways if way), [])
    if not found:
        raise not_found("pathway", text)
    if len(found) > 1:
        raise Problem(400, f"pathway: several are called {clipped(text)!r}: give the ID of one.")
    return found[0]


def activities_of(activities: Sequence[Activity], query: LogsQuery) -> list[Activity]:
    """Return the activities that pass the query's filters, in their order."""
    names = set(map(caseless, query.activities))
    types = _types(query.types)
    return [
        each
        for each in activities
        if (not query.activities or names & {caseless(each.id), caseless(each.name)})
        and (not query.types or types & _types_of(each))
    ]


def _types_of(activity: Activity) -> set[str]:
    """Return the types that an activity is of.

    One of type `data` that is tracked is the platform's Data Tracking; likewise a checkpoint.
    """
    own = caseless(activity.type)
    if own != "data" or activity.fulfilment_type not in (TRACKING, CHECKPOINT):
        return {own}
    return {own, f"{own} {activity.fulfilment_type}"}


def _types(named: Names) -> set[str]:
    """Return the types that singulars, plurals and labels mean, and these words themselves."""
    meant = {type_named(text) for text in named} - {None}
    return {caseless(text) for text in named} | {caseless(text) for text in meant if text}

"""``challenges``: the challenges in force."""

from collections.abc import Iterable

from projections.projection import Change, Gone, Projection
from projections.sources import names_a_uuid
from schemas.definition_records import DefinitionChange
from schemas.definitions import Challenge
from schemas.topics import DEFINITIONS

COLUMNS = (
    "project",
    "id",
    "name",
    "description",
    "status",
    "aggregation_method",
    "aggregation_period",
    "completion_target_value",
    "timezone",
    "starts_at",
    "ends_at",
    "activity_ids",
    "event_ids",
    "value_field",
    "points_on_completion",
    "challenge_group",
    "created_at",
    "updated_at",
    "version",
)


def rows(change: DefinitionChange) -> Iterable[Change]:
    """A challenge as it is in force, or gone."""
    if change.kind != Challenge.kind or not names_a_uuid(change):
        return
    challenge = change.definition
    if challenge is None:
        yield Gone((change.project, change.id))
        return
    assert isinstance(challenge, Challenge)
    yield (
        change.project,
        challenge.id,
        challenge.name,
        challenge.description,
        challenge.status,
        challenge.aggregation_method,
        challenge.aggregation_period,
        challenge.completion_target_value,
        challenge.timezone,
        challenge.starts_at,
        challenge.ends_at,
        challenge.activity_ids,
        challenge.event_ids,
        challenge.value_field,
        challenge.points_on_completion,
        challenge.challenge_group,
        change.at,
        change.at,
        change.offset,
    )


PROJECTION = Projection(
    table="challenges",
    topics=(DEFINITIONS,),
    columns=COLUMNS,
    key=("project", "id"),
    newest_by="version",
    kept=("created_at",),
    rows=rows,
)

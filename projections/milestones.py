"""``milestones``: the milestones in force."""

from collections.abc import Iterable

from projections.projection import Change, Gone, Projection
from projections.sources import names_a_uuid
from schemas.definition_records import DefinitionChange
from schemas.definitions import Milestone
from schemas.topics import DEFINITIONS

COLUMNS = (
    "project",
    "id",
    "linked_schema_slug",
    "linked_schema_record_id",
    "name",
    "description",
    "milestone_target_value",
    "status",
    "points",
    "created_at",
    "updated_at",
    "version",
)


def rows(change: DefinitionChange) -> Iterable[Change]:
    """A milestone as it is in force, or gone."""
    if change.kind != Milestone.kind or not names_a_uuid(change):
        return
    milestone = change.definition
    if milestone is None:
        yield Gone((change.project, change.id))
        return
    assert isinstance(milestone, Milestone)
    yield (
        change.project,
        milestone.id,
        milestone.linked_schema_slug,
        milestone.linked_schema_record_id,
        milestone.name,
        milestone.description,
        milestone.milestone_target_value,
        milestone.status,
        milestone.points,
        change.at,
        change.at,
        change.offset,
    )


PROJECTION = Projection(
    table="milestones",
    topics=(DEFINITIONS,),
    columns=COLUMNS,
    key=("project", "id"),
    newest_by="version",
    kept=("created_at",),
    rows=rows,
)

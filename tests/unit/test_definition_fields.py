"""A field of a definition is written down wherever one has to be, so that none is taken in vain."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from api.queries import record_fields
from processor.domain.rules import Challenge, Milestone, Streak
from projections.read_models.definitions import CHALLENGES, MILESTONES, STREAKS
from schemas import definitions as models

PAGE = (Path(__file__).parents[2] / "schemas" / "README.md").read_text("utf-8")

# The attribute of the rule that each field becomes; "" where the fold uses it in another way, or
# only shows it within the definition's JSON.
FOLDED = {
    models.Challenge: (
        Challenge,
        {
            "id": "id",
            "name": "",
            "description": "",
            "status": "live",
            "aggregation_method": "method",
            "aggregation_period": "period",
            "completion_target_value": "target",
            "timezone": "timezone",
            "starts_at": "starts_at",
            "ends_at": "ends_at",
            "activity_ids": "activity_ids",
            "event_ids": "activity_ids",
            "value_field": "value_field",
            "points_on_completion": "points",
            "challenge_group": "group",
        },
    ),
    models.Milestone: (
        Milestone,
        {
            "id": "id",
            "linked_schema_slug": "",
            "linked_schema_record_id": "",
            "name": "",
            "description": "",
            "milestone_target_value": "target",
            "status": "live",
            "points": "points",
        },
    ),
    models.Streak: (
        Streak,
        {
            "id": "id",
            "event_ids": "",
            "period": "period",
            "target_length": "target",
            "timezone": "timezone",
            "freezes": "freezes",
        },
    ),
}
TABLES = {models.Challenge: CHALLENGES, models.Milestone: MILESTONES, models.Streak: STREAKS}
RECORDS = {
    models.Challenge: record_fields.CHALLENGE,
    models.Milestone: record_fields.MILESTONE,
}


@pytest.mark.parametrize("kind", FOLDED)
def test_a_field_becomes_a_part_of_its_rule(kind: type[models.Definition]) -> None:
    rule, becomes = FOLDED[kind]
    assert set(becomes) == set(kind.model_fields)
    assert {name for name in becomes.values() if name} <= {field.name for field in fields(rule)}


@pytest.mark.parametrize("kind", TABLES)
def test_a_field_has_a_column(kind: type[models.Definition]) -> None:
    assert kind.model_fields.keys() - {"id"} <= set(TABLES[kind].columns)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_field_is_shown_in_records(kind: type[models.Definition]) -> None:
    names = {field.alias or name for name, field in kind.model_fields.items()}
    assert names <= {field.name for field in RECORDS[kind].fields}


@pytest.mark.parametrize("kind", models.KINDS.values(), ids=models.KINDS)
def test_a_field_is_described(kind: type[models.Definition]) -> None:
    for name, field in kind.model_fields.items():
        assert re.search(rf"\b{field.alias or name}\b", PAGE), f"{kind.kind}: {name}"

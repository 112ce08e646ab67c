"""Filters become SQL whose every value is a parameter."""

import json
from decimal import Decimal
from typing import Any

import pytest

from api.http.problems import Problem
from api.queries.record_fields import (
    CHALLENGE_LOG,
    CHALLENGE_PROGRESS,
    MEMBER,
    RECORDS,
    Field,
    Records,
)
from api.queries.record_filters import OPERATORS, compile_filters
from processor.domain.aggregates.challenge import COMPLETED, FAILED, IN_PROGRESS
from schemas.definitions import decode_numbers

UUID = "00000000-0000-4000-8000-00000000000a"


def compiled(tree: Any) -> tuple[str, tuple[Any, ...]]:
    """Return (SQL, values) of a tree that came as JSON."""
    where = compile_filters(decode_numbers(json.dumps(tree).encode()), CHALLENGE_LOG)
    return where.text.as_string(None), where.values


def condition(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"fieldSlug": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("node", "text", "values"),
    [
        (condition("activityId", "equals", "x"), '"activity_id" = %s::text', ("x",)),
        (condition("ownedById", "equals", UUID.upper()), '"member_id" = %s::uuid', (UUID,)),
        (
            condition("activityValue", "greater_than", 0.1),
            '"activity_value" > %s::numeric',
            (Decimal("0.1"),),
        ),
        (
            condition("activityId", "less_than", "b"),
            '"activity_id" COLLATE "C" < %s::text',
            ("b",),
        ),
        (condition("activityId", "in", ["a"]), '"activity_id" = ANY(%s::text[])', (["a"],)),
        (condition("status", "in", ["live"]), '"status" = ANY(%s::text[])', (["live"],)),
        (condition("status", "contains", "iv"), 'strpos("status", %s::text) > 0', ("iv",)),
        (condition("activityValue", "exists", True), '"activity_value" IS NOT NULL', ()),
        (
            condition("status", "not_in", []),
            '("status" <> ALL(%s::text[]) AND "status" IS NOT NULL)',
            ([],),
        ),
        (
            condition("activityValue", "less_than", 10**30),
            '"activity_value" < %s::numeric',
            (Decimal(10**30),),
        ),
        (condition("activityId", "contains", "%"), 'strpos("activity_id", %s::text) > 0', ("%",)),
        (condition("activityValue", "exists"), '"activity_value" IS NOT NULL', ()),
        (condition("activityValue", "not_exists"), '"activity_value" IS NULL', ()),
    ],
)
def test_a_condition(node: Any, text: str, values: tuple[Any, ...]) -> None:
    assert compiled(node) == (text, values)


def test_a_time_is_cut_and_never_rounded() -> None:
    _, (moment,) = compiled(condition("activityAt", "less_than", "2026-10-31T23:59:59.9999999Z"))
    assert moment.isoformat() == "2026-10-31T23:59:59.999999+00:00"


def test_groups_nest_with_their_values_in_order() -> None:
    inner = {"type": "OR", "conditions": [condition("activityId", "equals", s) for s in "ab"]}
    tree = {"type": "AND", "conditions": [inner, condition("activityId", "equals", "c")]}
    assert compiled(tree) == (
        '(("activity_id" = %s::text OR "activity_id" = %s::text) AND "activity_id" = %s::text)',
        ("a", "b", "c"),
    )


def test_an_empty_group_is_everything_or_a_mistake() -> None:
    assert compiled({"type": "AND", "conditions": []})[0] == "TRUE"
    with pytest.raises(Problem, match="must have a condition"):
        compiled({"type": "OR", "conditions": []})


ENUMERATED = [
    (records, field) for records in RECORDS.values() for field in records.fields if field.values
]


@pytest.mark.parametrize(
    ("records", "field"),
    [pytest.param(*each, id=f"{each[0].slug}.{each[1].name}") for each in ENUMERATED],
)
def test_a_field_of_few_texts_takes_these_alone(records: Records, field: Field) -> None:
    for value in field.values:
        for operator, given in (("equals", value), ("in", [value]), ("contains", value[1:])):
            compile_filters(condition(field.name, operator, given), records)
    for value in ("done", field.values[0].upper() + "x", ""):
        for operator, given in (
            ("equals", value),
            ("not_equals", value),
            ("greater_than", value),
            ("in", [field.values[0], value]),
            ("not_in", [value]),
        ):
            with pytest.raises(Problem, match=f"as {field.name} is"):
                compile_filters(condition(field.name, operator, given), records)
    with pytest.raises(Problem, match=f"as {field.name} is"):
        compile_filters(condition(field.name, "contains", "done?"), records)


def test_the_fields_of_few_texts() -> None:
    """Whatever the fold or the definitions can say, and nothing else."""
    assert {f"{records.slug}.{field.name}" for records, field in ENUMERATED} == {
        *("challenge_log.status", "challenge.status", "milestone.status", "member.status"),
        *("challenge.aggregationMethod", "challenge.aggregationPeriod", "challenge.timezone"),
        *("milestone.linkedSchemaSlug", "reward_log.linkedSchemaSlug", "member.timezone"),
        *("challenge_progress.aggregationMethod", "challenge_progress.aggregationPeriod"),
        *("challenge_progress.timezone", "challenge_progress.challengeProgressStatus"),
        "reward_log.status",
    }
    statuses = CHALLENGE_PROGRESS.field("challengeProgressStatus")
    assert statuses is not None
    assert statuses.values == (IN_PROGRESS, COMPLETED, FAILED)


def nested(depth: int) -> dict[str, Any]:
    """Groups so many deep, around one condition."""
    node = condition("status", "exists")
    for _ in range(depth):
        node = {"type": "AND", "conditions": [node]}
    return node


def test_five_deep_is_allowed_and_six_is_not() -> None:
    compiled(nested(5))
    with pytest.raises(Problem):
        compiled(nested(6))


def test_fifty_conditions_are_allowed_and_one_more_is_not() -> None:
    compiled({"type": "OR", "conditions": [condition("status", "exists")] * 50})
    with pytest.raises(Problem):
        compiled({"type": "OR", "conditions": [condition("status", "exists")] * 51})


@pytest.mark.parametrize(
    "node",
    [
        [],
        "x",
        None,
        {},
        {"type": "NOT", "conditions": []},
        {"type": "AND", "conditions": {}},
        {"type": "AND"},
        {"type": "AND", "conditions": [], "more": 1},
        condition("status", "equals", "x") | {"type": "AND"},
        condition("challenge", "exists"),
        condition("sequence", "exists"),
        condition("status", "matches", "x"),
        condition("status", "equals", "a\0b"),
        condition("status", "in", "live"),
        condition("status", "exists", False),
        condition("status", "not_exists", "x"),
        condition("status", "in", ["a\0b"]),
        condition("activityValue", "equals", 10**101),
        {"fieldSlug": "status", "operator": "equals"},
        {"fieldSlug": ["status"], "operator": "exists"},
        {"fieldSlug": "status", "operator": {"a": 1}},
    ],
)
def test_what_cannot_be_asked_names_filters(node: Any) -> None:
    with pytest.raises(Problem) as raised:
        compiled(node)
    assert raised.value.status == 400
    assert [field for field, _ in raised.value.errors] == ["filters"]


@pytest.mark.parametrize(
    "node",
    [
        condition("status", "equals", "done"),
        condition("status", "in", []),
        condition("activityId", "in", []),
        condition("activityValue", "in", []),
        condition("ownedById", "in", []),
        condition("activityAt", "in", []),
        condition("status", "equals", 1),
        condition("status", "not_equals", 1),
        condition("status", "equals", None),
        condition("status", "contains", ["live"]),
        condition("ownedById", "greater_than", UUID),
        condition("ownedById", "contains", "a"),
        condition("ownedById", "equals", "x"),
        condition("activityValue", "equals", "1"),
        condition("activityValue", "equals", True),
        condition("activityValue", "contains", 1),
        condition("activityAt", "less_than", "2026-11-21T10:00:00"),
        condition("activityAt", "equals", 5),
        condition("activityAt", "in", ["2026-11-21T10:00:00Z", "soon"]),
        condition("status", "in", ["live", 1]),
        condition("status", "not_in", ["live", None]),
    ],
)
def test_what_no_record_can_match_is_refused(node: Any) -> None:
    with pytest.raises(Problem) as raised:
        compiled({"type": "OR", "conditions": [node]})
    assert raised.value.errors[0][0] == "filters"
    assert raised.value.errors[0][1].startswith("conditions[0].")
    assert node["fieldSlug"] in raised.value.detail


def test_lists_are_searched_and_not_compared() -> None:
    where = compile_filters(condition("groups", "contains", "vip"), MEMBER)
    assert where.text.as_string(None) == '%s::text = ANY("groups")'
    for operator, value in (("equals", "vip"), ("in", ["vip"]), ("contains", 1)):
        with pytest.raises(Problem, match="groups"):
            compile_filters(condition("groups", operator, value), MEMBER)


def test_every_operator_and_every_field_has_a_meaning() -> None:
    for records in RECORDS.values():
        assert records.names[0] == "id"
        assert len(set(records.names)) == len(records.names)
        for field in records.fields:
            compile_filters(condition(field.name, "exists"), records)
    assert len(OPERATORS) == 11

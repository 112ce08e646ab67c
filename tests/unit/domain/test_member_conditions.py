"""Conditions that name the member: what is in force when the event is folded (section 11)."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.definitions import DefinitionError, parse
from tests.event_spec import all_of, any_of, condition, event, event_of
from tests.spec import Sent, command, given, upsert

ANNA = {
    "country": "DE",
    "city": "Bonn",
    "groups": ["gold", "early"],
    "attributes": {"plan": "plus", "age": Decimal("0.3"), "a.b": True, "likes": ["tea"]},
}
CLAIMED = {
    "member": {"country": "AT", "attributes": {"plan": "free"}, "groups": ["none"]},
    "member.country": "AT",
    "member.attributes.plan": "free",
}


def met(conditions: dict[str, Any], *before: Sent) -> bool:
    """Tell whether an event, whose metadata claim something else, meets the conditions."""
    world = given(upsert("ann", **ANNA), *before, event_of(conditions=conditions))
    (logged,) = world.when(event(metadata=CLAIMED)).of("event.logged")
    return bool(logged["conditionReached"])


@pytest.mark.parametrize(
    ("field", "operator", "value", "holds"),
    [
        ("member.country", "equals", "DE", True),
        ("member.country", "equals", "AT", False),
        ("member.city", "in", ["Bonn", "Wien"], True),
        ("member.groups", "contains", "gold", True),
        ("member.groups", "contains", "none", False),
        ("member.attributes.plan", "equals", "plus", True),
        ("member.attributes.plan", "equals", "free", False),
        ("member.attributes.age", "equals", Decimal("0.30"), True),
        ("member.attributes.a.b", "equals", True, True),
        ("member.attributes.a.b", "equals", 1, False),
        ("member.attributes.likes", "contains", "tea", True),
        ("member.attributes.none", "not_exists", None, True),
        ("member.attributes.none", "exists", None, False),
        ("member.tier.status", "exists", None, False),
        ("member.tier.status", "not_equals", "gold", False),
    ],
)
def test_a_path_of_the_member_is_the_member_s(
    field: str, operator: str, value: Any, holds: bool
) -> None:
    assert met(condition(field, operator, value)) == holds


def test_the_member_and_metadata_stand_side_by_side() -> None:
    both = all_of(
        condition("member.country", "equals", "DE"), condition("amount", "greater_than", 5)
    )
    either = any_of(
        condition("member.country", "equals", "AT"), condition("amount", "greater_than", 5)
    )
    for tree in (both, either):
        world = given(upsert("ann", **ANNA), event_of(conditions=tree))
        more = world.when(event(metadata={"amount": 6}), event(metadata={"amount": 5}))
        assert [each["conditionReached"] for each in more.of("event.logged")] == [True, False]


def test_what_is_in_force_when_the_event_is_folded_counts() -> None:
    tree = condition("member.attributes.plan", "equals", "plus")
    world = given(upsert("ann", **ANNA), event_of(conditions=tree))
    late = "2026-11-20T10:00:00Z"
    changed = upsert("ann", attributes={"plan": None})
    happened = world.when(event("visit", late), changed, event("visit", late))
    assert [each["conditionReached"] for each in happened.of("event.logged")] == [True, False]


def test_what_a_deletion_erased_is_missing() -> None:
    delete = command("delete-member", userId="ann")
    assert met(condition("member.city", "exists"))
    assert not met(condition("member.city", "exists"), delete, upsert("ann"))
    assert not met(condition("member.attributes.plan", "exists"), delete, upsert("ann"))


@pytest.mark.parametrize(
    "field",
    [
        "member.",
        "member.email",
        "member.timezone",
        "member.attributes",
        "member.attributes.",
        "member.attributes.a b",
        "member.attributes." + "x" * 65,
        "member.groups.0",
        "member.tier",
        "member.tier.",
        "member.tier.a/b",
    ],
)
def test_a_path_that_no_member_has_is_refused_with_the_field(field: str) -> None:
    tree = all_of(condition("amount", "exists"), condition(field, "exists"))
    with pytest.raises(DefinitionError) as refused:
        parse("event", {"id": "e", "title": "E", "reward": {"default": 1}, "conditions": tree})
    assert [name for name, _ in refused.value.errors] == ["conditions.conditions.1.field"]


def test_a_name_of_metadata_may_begin_with_member() -> None:
    tree = condition("membership", "equals", "gold")
    world = given(upsert("ann"), event_of(conditions=tree))
    (logged,) = world.when(event(metadata={"membership": "gold"})).of("event.logged")
    assert logged["conditionReached"]

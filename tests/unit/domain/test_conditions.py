"""When an event's metadata meet its conditions (`schemas/README.md#conditions`)."""

from decimal import Decimal
from typing import Any

import pytest

from processor.domain.aggregates.conditions import holds
from schemas.definitions import Condition
from tests.event_spec import all_of, any_of, condition, event, event_of
from tests.spec import Happened, ann, given

D = Decimal

ORDERED = ("greater_than", "greater_than_or_equals", "less_than", "less_than_or_equals")
OPERATORS = ("equals", "not_equals", *ORDERED, "in", "not_in", "contains", "exists", "not_exists")


def met(conditions: dict[str, Any], metadata: dict[str, Any] | None) -> bool:
    """Send an event with these metadata; tell whether it met the conditions."""
    happened: Happened = given(ann, event_of(conditions=conditions)).when(event(metadata=metadata))
    (logged,) = happened.of("event.logged")
    assert isinstance(logged["conditionReached"], bool)
    assert logged["points"] == (5 if logged["conditionReached"] else 0)
    return logged["conditionReached"]


@pytest.mark.parametrize(
    ("operator", "holds_for"),
    [
        ("equals", (D("49.99"),)),
        ("not_equals", (49, 50)),
        ("greater_than", (50,)),
        ("greater_than_or_equals", (D("49.99"), 50)),
        ("less_than", (49,)),
        ("less_than_or_equals", (49, D("49.99"))),
    ],
)
def test_numbers_are_compared_exactly(operator: str, holds_for: tuple[Any, ...]) -> None:
    tree = condition("amount", operator, D("49.99"))
    for amount in (49, D("49.99"), 50):
        assert met(tree, {"amount": amount}) == (amount in holds_for), (amount, operator)


def test_a_tenth_is_a_tenth() -> None:
    assert met(condition("amount", "equals", D("0.3")), {"amount": D("0.30")})
    assert not met(condition("amount", "equals", D("0.3")), {"amount": D("0.30000000000000004")})
    large = 9007199254740993  # no binary float has it
    assert not met(condition("amount", "equals", large), {"amount": large - 1})
    assert met(condition("amount", "greater_than", large - 1), {"amount": large})


def test_an_integer_equals_the_same_number_with_a_point() -> None:
    assert met(condition("amount", "equals", 3), {"amount": D("3.0")})
    assert met(condition("amount", "in", [D("3.00")]), {"amount": 3})


@pytest.mark.parametrize(
    ("operator", "holds_for"),
    [
        ("equals", ("m",)),
        ("not_equals", ("a", "ä")),
        ("greater_than", ("ä",)),
        ("greater_than_or_equals", ("m", "ä")),
        ("less_than", ("a",)),
        ("less_than_or_equals", ("a", "m")),
    ],
)
def test_texts_are_ordered_by_code_point(operator: str, holds_for: tuple[str, ...]) -> None:
    tree = condition("letter", operator, "m")
    for letter in ("a", "m", "ä"):
        assert met(tree, {"letter": letter}) == (letter in holds_for), (letter, operator)


@pytest.mark.parametrize("operator", ORDERED)
@pytest.mark.parametrize("value", [True, [1], {"a": 1}])
def test_nothing_but_numbers_and_texts_has_an_order(operator: str, value: Any) -> None:
    assert not met(condition("field", operator, value), {"field": value})


@pytest.mark.parametrize("value", [True, [1, "a"], {"a": [1]}, "text", 7])
def test_a_value_of_any_type_equals_itself(value: Any) -> None:
    assert met(condition("field", "equals", value), {"field": value})
    assert not met(condition("field", "not_equals", value), {"field": value})


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o not in ("exists", "not_exists")])
@pytest.mark.parametrize("wrong", ["5", True, [5], {"a": 5}])
def test_a_value_of_another_type_makes_every_operator_false(operator: str, wrong: Any) -> None:
    value: Any = [5, 6] if operator in ("in", "not_in") else 5
    if operator == "contains":  # the one operator that looks into a list
        value = "x"
    assert not met(condition("amount", operator, value), {"amount": wrong})


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("metadata", [None, {}, {"other": 1}, {"amount": None}])
def test_a_missing_field_makes_every_operator_false_but_not_exists(
    operator: str, metadata: dict[str, Any] | None
) -> None:
    value = [5] if operator in ("in", "not_in") else 5
    tree = condition("amount", operator, None if operator == "not_exists" else value)
    assert met(tree, metadata) == (operator == "not_exists")


@pytest.mark.parametrize("value", [0, "", False, [], {}])
def test_a_field_that_is_there_exists_however_empty(value: Any) -> None:
    assert met(condition("field", "exists"), {"field": value})
    assert not met(condition("field", "not_exists"), {"field": value})


def test_true_is_not_one() -> None:
    assert not met(condition("flag", "equals", 1), {"flag": True})
    assert not met(condition("flag", "in", [1, 0]), {"flag": True})
    assert not met(condition("flag", "contains", 1), {"flag": [True]})
    assert not met(condition("flag", "equals", [1]), {"flag": [True]})


def test_in_and_not_in_look_for_the_value_in_the_list() -> None:
    for operator, expected in (("in", (True, False)), ("not_in", (False, True))):
        tree = condition("source", operator, ["web", "app", 3])
        assert met(tree, {"source": "web"}) == expected[0]
        assert met(tree, {"source": "shop"}) == expected[1]
        assert met(tree, {"source": 3}) == expected[0]
        assert met(tree, {"source": 4}) == expected[1]


def test_contains_looks_for_an_element_of_a_list() -> None:
    tree = condition("tags", "contains", "red")
    assert met(tree, {"tags": ["blue", "red"]})
    assert not met(tree, {"tags": ["blue", "reddish"]})
    assert not met(tree, {"tags": []})
    assert met(condition("tags", "contains", D("1.5")), {"tags": ["a", D("1.50")]})


def test_contains_looks_for_a_part_of_a_text() -> None:
    tree = condition("source", "contains", "ha🎉")
    assert met(tree, {"source": "aha🎉!"})
    assert not met(tree, {"source": "HA🎉"})
    assert not met(tree, {"source": "ha"})


def test_contains_does_not_look_into_objects_or_numbers() -> None:
    assert not met(condition("field", "contains", "a"), {"field": {"a": 1}})
    assert not met(condition("field", "contains", 1), {"field": 213})
    assert not met(condition("field", "contains", 1), {"field": "213"})


def test_all_of_an_and_and_one_of_an_or_must_hold() -> None:
    over, web = condition("amount", "greater_than", 10), condition("source", "equals", "web")
    for amount, source in ((11, "web"), (11, "app"), (9, "web"), (9, "app")):
        metadata = {"amount": amount, "source": source}
        assert met(all_of(over, web), metadata) == (amount > 10 and source == "web")
        assert met(any_of(over, web), metadata) == (amount > 10 or source == "web")


def test_groups_nest() -> None:
    tree = any_of(
        all_of(
            condition("amount", "greater_than", 10),
            any_of(condition("source", "equals", "web"), condition("source", "not_exists")),
        ),
        condition("vip", "equals", True),
    )
    assert met(tree, {"amount": 11})
    assert met(tree, {"amount": 11, "source": "web"})
    assert not met(tree, {"amount": 11, "source": "app"})
    assert not met(tree, {"amount": 9})
    assert met(tree, {"amount": 9, "source": "app", "vip": True})


def test_sixteen_groups_deep_is_not_too_deep() -> None:
    tree = condition("amount", "greater_than", 10)
    for _ in range(15):
        tree = all_of(tree)
    assert met(tree, {"amount": 11})
    assert not met(tree, {"amount": 9})


def test_no_conditions_are_always_met() -> None:
    (logged,) = given(ann, event_of()).when(event()).of("event.logged")
    assert logged["conditionReached"] is True


@pytest.mark.parametrize("wanted", [1, True, "a", None, [1], {"a": 1}])
def test_an_element_is_found_among_others_by_value_and_type(wanted: Any) -> None:
    items = [0, False, "b", [], [True], {"a": True}, {"b": 1}]
    among = Condition.model_validate({"field": "v", "operator": "contains", "value": wanted})
    assert not holds(among, {"v": items})
    assert holds(among, {"v": [*items, wanted]})

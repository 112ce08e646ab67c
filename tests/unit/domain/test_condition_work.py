"""What the conditions of one record may look at is bounded, so that none stops a partition.

Lists are prepared once for all comparisons, and what is left is counted: never timed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Raw

from processor.domain.aggregates import json_values
from processor.domain.aggregates.conditions import MemberFacts, compared, cost_of, holds
from processor.domain.aggregates.json_values import Elements
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.work import MOST, Work, work_on
from processor.domain.inputs import Refused
from schemas.definitions import Condition, DefinitionError, Event, encode, parse
from tests.event_spec import any_of, condition, event, event_of
from tests.spec import Defined, ann, given, refused

WHEN = datetime(2026, 11, 21, tzinfo=UTC)
LONG = "a" * 262_000
"""Characters of a text that the metadata may just hold."""


def many(operator: str, wanted: Callable[[int], Any], count: int = 700) -> dict[str, Any]:
    """Comparisons of the field ``a``, none of which decides."""
    each = [condition("a", operator, wanted(n)) for n in range(count)]
    return any_of(*(any_of(*each[n : n + 100]) for n in range(0, count, 100)))


def boost(number: int, conditions: dict[str, Any]) -> Defined:
    """A boost that runs."""
    fields = {"id": f"b{number}", "name": "b", "multiplier": 2, "conditions": conditions}
    return Defined("boost", f"b{number}", fields | {"startsAt": "2020-01-01T00:00:00Z"})


SEARCHES = many("contains", lambda n: f"{n:03}")
NUMBERS = many("contains", lambda _: [2])
LISTED = {"a": [[1]] * 60_000}


def test_a_list_is_prepared_once_for_all_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    keys_of = json_values._keys_of

    def counted(values: list[Any]) -> list[bytes]:
        looked.append(len(values))
        return keys_of(values)

    monkeypatch.setattr(json_values, "_keys_of", counted)
    world = given(ann, event_of(conditions=NUMBERS), *(boost(n, NUMBERS) for n in range(3)))
    world.partition.compared = False
    looked.clear()
    (logged,) = world.when(event(metadata=LISTED)).of("event.logged")
    assert not logged["conditionReached"]
    assert sum(looked) == len(LISTED["a"])


def test_elements_are_prepared_by_type_when_they_are_looked_for() -> None:
    elements = Elements([1, "a", None, [1], {"a": 1}, True])
    assert elements.have("string", "a")
    assert elements.have("null", b"null")
    assert elements.have("boolean", b"true")
    assert not elements.have("number", b"true")


def test_what_looks_through_too_much_text_is_too_large() -> None:
    happened = given(ann, event_of(conditions=SEARCHES)).when(event(metadata={"a": LONG}))
    happened.then(refused("too_large")).answering(
        (413, {"code": "too_large", "errors": [{"field": "metadata"}]})
    )


def test_as_many_comparisons_of_a_shorter_text_are_made() -> None:
    happened = given(ann, event_of(conditions=SEARCHES)).when(event(metadata={"a": LONG[:10_000]}))
    assert happened.of("event.logged")[0]["conditionReached"] is False


def test_boosts_share_what_one_event_may_look_at() -> None:
    some = many("contains", lambda n: f"{n:03}", 100)
    for count, facts in ((2, []), (3, [refused("too_large")])):
        world = given(ann, event_of(limit=1), *(boost(n, some) for n in range(count)))
        happened = world.when(event(metadata={"a": LONG}))
        assert len(happened.of("event.logged")) == (not facts)
        if facts:
            happened.then(*facts)
            assert world.when(event()).of("event.logged")[0]["limitReached"] is False


def test_no_event_of_the_fast_path_comes_near_the_bound() -> None:
    """Its text is one of which each character may be looked at often."""
    tree = many("contains", lambda n: "a" * 60 + f"{n:03}", 400)
    metadata = {"a": "a" * 3900}
    work = Work()
    holds(Condition.model_validate(tree), metadata, work=work)
    assert work.spent * 2 < MOST
    happened = given(ann, event_of(conditions=tree)).when(event(metadata=metadata))
    assert happened.of("event.logged")[0]["conditionReached"] is False


def test_ten_thousand_boosts_with_a_comparison_each_are_not_too_many() -> None:
    tree = Condition.model_validate(condition("amount", "greater_than", 10))
    cost, work = cost_of(tree), Work()
    work.size = 262_144
    for _ in range(10_000):
        work.begin(cost)
    with pytest.raises(Refused, match="too much"):
        work.begin(cost.times(30_000))


def test_each_comparison_and_each_group_counts() -> None:
    one = cost_of(Condition.model_validate(condition("a", "equals", 1)))
    two = cost_of(Condition.model_validate(any_of(*[condition("a", "equals", 1)] * 2)))
    assert (one.comparisons, two.comparisons) == (1, 3)
    longer = cost_of(Condition.model_validate(condition("a", "equals", "x" * 1000)))
    assert longer.units > one.units + 1000


def test_the_bytes_of_a_definition_bound_its_comparisons() -> None:
    def event_with(count: int) -> Event:
        fields = {"id": "e", "title": "e", "reward": {"default": 1}}
        found = parse("event", fields | {"conditions": many("exists", lambda _: None, count)})
        assert isinstance(found, Event)
        return found

    assert len(encode(event_with(800))) < Event.max_bytes
    with pytest.raises(DefinitionError, match="at most 65536"):
        event_with(1000)


def test_what_a_path_names_of_a_member_is_looked_up_once() -> None:
    asked: list[str] = []

    def tier_in(tier_set_id: str) -> str:
        asked.append(tier_set_id)
        return "gold"

    facts = MemberFacts(Member("p", "ann", WHEN, WHEN, 1, groups=("a", "b")), tier_in)
    tree = any_of(*[condition("member.tier.status", "equals", "silver")] * 5)
    assert not holds(Condition.model_validate(tree), {}, facts)
    assert asked == ["status"]
    assert facts.of("member.groups") is facts.of("member.groups")


def test_a_trace_tells_of_as_many_comparisons_as_there_is_room_for() -> None:
    tree, metadata = Condition.model_validate(SEARCHES), {"a": LONG}
    told = compared(tree, metadata, None, Work())
    assert 0 < len(told) < 700
    assert len(compared(tree, {"a": "short"}, None, Work())) == 700


def test_only_large_metadata_make_each_comparison_dearer() -> None:
    assert work_on(Raw(b'{"a":1}')).size == 0
    assert work_on(Raw(b'{"a":1}' + b" " * 5000)).size == 5007

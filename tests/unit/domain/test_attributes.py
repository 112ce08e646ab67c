"""Attributes of members: merged, removed, bounded, personal (contract-2, section 11)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.spec import (
    ann,
    challenge,
    command,
    given,
    log,
    progress,
    recorded,
    refused,
    upsert,
    upserted,
)

delete = command("delete-member", userId="ann")


def inline(**attributes: Any) -> dict[str, Any]:
    """The member ann with attributes, as a log names it."""
    return {"externalId": "ann", "attributes": attributes}


def test_attributes_that_are_given_are_merged_and_null_removes_one() -> None:
    given(upsert("ann", attributes={"plan": "plus", "children": 2, "a.b": True})).when(
        upsert("ann", attributes={"children": 3, "a.b": None, "likes": ["tea", "ale"]}),
        upsert("ann", city="Bonn"),
    ).then(
        upserted(version=2, attributes={"plan": "plus", "children": 3, "likes": ["tea", "ale"]}),
        upserted(
            version=3,
            city="Bonn",
            attributes={"plan": "plus", "children": 3, "likes": ["tea", "ale"]},
        ),
    )


def test_what_changes_nothing_is_not_announced() -> None:
    given(upsert("ann", attributes={"plan": "plus", "children": 2})).when(
        upsert("ann", attributes={"children": 2}),
        upsert("ann", attributes={"none": None}),
        upsert("ann", attributes={}),
        upsert("ann", attributes=None),
    ).then_nothing_happened()


def test_a_member_without_attributes_is_published_without_them() -> None:
    happened = given(upsert("ann", attributes={"plan": "plus"})).when(
        upsert("ben"), upsert("ann", attributes={"plan": None})
    )
    assert all("attributes" not in fact.data for fact in happened.facts)


def test_numbers_are_exact_and_in_one_form() -> None:
    exact = Decimal("12345678901234567890.12")
    happened = given().when(upsert("ann", attributes={"exact": exact, "thousand": Decimal("1e3")}))
    happened.then(upserted())
    (output,) = happened.outputs("member-events")
    assert b'"attributes":{"exact":12345678901234567890.12,"thousand":1000}' in output.value


def test_a_log_merges_the_attributes_of_its_inline_member() -> None:
    given(ann, challenge()).when(
        log("a", 5, ownedBy=inline(plan="plus")), log("b", 5, ownedBy=inline(plan="plus"))
    ).then(upserted(attributes={"plan": "plus"}), recorded(progress(5)), recorded(progress(10)))


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"": 1}, "attributes"),
        ({"a b": 1}, "attributes"),
        ({"ä": 1}, "attributes"),
        ({"x" * 65: 1}, "attributes"),
        ({"x\n": 1}, "attributes"),
        ({"x": {}}, "attributes.x"),
        ({"x": [1]}, "attributes.x"),
        ({"x": ["a", None]}, "attributes.x"),
        ({"x": 10**20}, "attributes.x"),
        ([], "attributes"),
        ("plus", "attributes"),
    ],
)
def test_a_bad_attribute_is_named(attributes: Any, field: str) -> None:
    given(ann).when(upsert("ann", attributes=attributes)).then(refused("invalid", field))
    owner = {"externalId": "ann", "attributes": attributes}
    given(ann, challenge()).when(log("a", 1, ownedBy=owner)).then(
        refused("invalid", f"ownedBy.{field}")
    )


def test_a_hundred_names_are_taken_and_one_more_is_not() -> None:
    hundred: dict[str, Any] = {f"n{number}": number for number in range(100)}
    full = given(upsert("ann", attributes=hundred), challenge())
    full.when(
        upsert("ann", attributes={"more": 1}),
        log("a", 1, ownedBy=inline(more=1)),
        upsert("ann", attributes={"more": 1, "n0": None}),
    ).then(
        refused("invalid", "attributes"),
        refused("invalid", "ownedBy.attributes"),
        upserted(version=2),
    )


@pytest.mark.parametrize(
    ("size", "good"),
    [(16 * 1024 - len('{"x":""}'), True), (16 * 1024 - len('{"x":""}') + 1, False)],
)
def test_attributes_have_sixteen_kibibytes_in_all(size: int, good: bool) -> None:
    happened = given().when(upsert("ann", attributes={"x": "y" * size}))
    happened.then(upserted() if good else refused("invalid", "attributes"))


def test_seventeen_kibibytes_of_attributes_are_refused_and_change_nothing() -> None:
    happened = given(upsert("ann", city="Bonn")).when(
        upsert("ann", city="Köln", attributes={"x": "ä" * (17 * 512)})
    )
    happened.then(refused("invalid", "attributes"))
    assert set(happened.effects.writes) == {b"o"}


def test_deleting_a_member_erases_its_attributes() -> None:
    world = given(upsert("ann", attributes={"plan": "secret-plan"}), challenge(), log("a", 5))
    deleted = world.when(delete)
    deleted.then(upserted(status="deleted"))
    assert "attributes" not in deleted.facts[0].data
    assert b"secret-plan" not in b"".join(world.partition.entries.values())


def test_attributes_travel_in_member_events_alone() -> None:
    happened = given(challenge(pointsOnCompletion=5)).when(
        log("a", 100, ownedBy=inline(plan="secret-plan")), upsert("ben", attributes={"p": "secret"})
    )
    for topic, outputs in happened.effects.outputs.items():
        if topic != "member-events":
            assert all(b"secret" not in output.value for output in outputs)
    assert all(b"secret" not in answer.value for answer in happened.effects.answers)

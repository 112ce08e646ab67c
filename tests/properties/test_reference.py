"""The fold agrees with a plain reading of the rules over random histories."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given

from tests.properties.beside import fold_beside
from tests.strategies import Segment, histories


@given(histories())
def test_progress_milestones_and_rewards_are_as_the_contract_says(history: list[Segment]) -> None:
    both = fold_beside(history)
    reference = both.reference
    for type_, what, expected in (
        ("reward.granted", "milestoneId", reference.rewards),
        ("milestone.reached", "milestoneId", reference.rewards),
        ("challenge.completed", "challengeId", reference.completions),
    ):
        told = [each for chunk in both.chunks for each in chunk.of(type_)]
        assert [(e[what], e["ownedById"], e["periodKey"]) for e in told] == expected
    latest: dict[str, Mapping[str, Any]] = {}
    for fact in (fact for chunk in both.chunks for fact in chunk.facts):
        if fact.type in ("member.upserted", "member.gone"):
            latest[fact.data["id"]] = fact.data if fact.type == "member.upserted" else {}
    own = {id_: member.get("attributes", {}) for id_, member in reference.members.items()}
    assert {id_: each.get("attributes", {}) for id_, each in latest.items()} == own

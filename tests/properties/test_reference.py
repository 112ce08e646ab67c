"""The fold agrees with a plain reading of the rules over random histories."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hypothesis import given

from tests.properties.reference import Reference
from tests.spec import Happened, Partition
from tests.strategies import Segment, histories


def as_reference(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a log's record what the reference knows: ids for milestones, times as times."""
    progress = body["challengeProgress"]
    joined = {n: body[n] and body[n]["id"] for n in ("achievedMilestone", "nextMilestone")}
    return {
        **joined,
        "achievedMilestones": [each["id"] for each in body["achievedMilestones"]],
        "activityValue": body["activityValue"],
        "challengeProgress": progress
        and {
            "currentProgressValue": progress["currentProgressValue"],
            "challengeProgressStatus": progress["challengeProgressStatus"],
            "aggregationMethod": progress["aggregationMethod"],
            "periodKey": progress["periodKey"],
            "challengeStartedAt": _time(progress["challengeStartedAt"]),
            "challengeCompletedAt": _time(progress["challengeCompletedAt"]),
        },
    }


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def told(happened: Happened, type_: str) -> list[tuple[str, ...]]:
    """Return what each event of a type is about: definition, member and period."""
    about = "challengeId" if type_.startswith("challenge") else "milestoneId"
    return [(e[about], e["ownedById"], e["periodKey"]) for e in happened.of(type_)]


@given(histories())
def test_progress_milestones_and_rewards_are_as_the_contract_says(history: list[Segment]) -> None:
    partition, reference = Partition(), Reference()
    chunks: list[Happened] = []
    for segment in history:
        partition.define(*segment.definitions)
        for each in segment.definitions:
            reference.define(each.key, each.value)
        chunks.append(partition.fold(*segment.records))
        for record, (status, body) in zip(segment.records, chunks[-1].answers, strict=True):
            expected, answer = reference.take(record.topic, record.value, record.timestamp)
            assert status == expected, (record, body)
            if status == 201 and answer is not None:
                assert as_reference(body) == answer
            elif status == 409 and answer is not None:
                first = as_reference(body["record"])
                assert first["challengeProgress"] == answer["challengeProgress"]
                assert first["activityValue"] == answer["activityValue"]

    for type_, expected_facts in (
        ("reward.granted", reference.rewards),
        ("milestone.reached", reference.rewards),
        ("challenge.completed", reference.completions),
    ):
        assert [fact for chunk in chunks for fact in told(chunk, type_)] == expected_facts
    counts = sum((Counter(chunk.counts) for chunk in chunks), Counter())
    assert counts["duplicates"] == reference.duplicates
    refused = {k.split(":")[1]: n for k, n in counts.items() if k.startswith("dead_letter:")}
    assert refused == reference.refusals
    latest = {each["id"]: each for chunk in chunks for each in chunk.of("member.upserted")}
    own = {id_: member.get("attributes", {}) for id_, member in reference.members.items()}
    assert {id_: each.get("attributes", {}) for id_, each in latest.items()} == own

"""The fold of voids of challenge logs agrees with a plain reading of the rules."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.state_kinds import BALANCES, balances_key
from schemas import ids
from schemas.instants import from_millis
from schemas.topics import TICKS
from tests.properties.test_events import by_record
from tests.properties.test_folding import fold_in_parts, fold_whole, written
from tests.properties.void_reference import VoidReference
from tests.spec import PROJECT, Happened, Partition
from tests.strategies import Segment
from tests.strategies_voids import MEMBERS, void_histories

Fact = dict[str, Any]
PROGRESS = ("challengeId", "ownedById")
ABOUT: Mapping[str, tuple[str, ...]] = {
    "challenge_log.voided": (*PROGRESS, "change"),
    "challenge.completed": PROGRESS,
    "challenge.failed": PROGRESS,
    "challenge.reopened": PROGRESS,
    "reward.granted": ("milestoneId", "ownedById"),
    "reward.revoked": ("milestoneId", "ownedById"),
    "points.granted": ("ownedById", "actionId", "points"),
    "points.reversed": ("ownedById", "points"),
}
"""What is compared of each type of event."""


def as_fact(type_: str, data: Mapping[str, Any]) -> Fact:
    """Return of an output what the reference knows of it."""
    fact = {name: data[name] for name in ABOUT[type_]}
    if type_ in ("challenge.completed", "challenge.failed"):
        fact["at"] = datetime.fromisoformat(data[f"challenge{type_[10:].title()}At"])
    elif type_ == "challenge.reopened":
        fact["status"] = data["challengeProgressStatus"]
    elif type_ == "points.reversed":
        fact["notRecovered"] = data.get("notRecovered", 0)
    return fact


def as_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a void's answer what the reference knows of it."""
    return {
        "progress": [
            (
                Decimal(str(each["currentProgressValue"])),
                each["challengeProgressStatus"],
                each["challengeCompletedAt"]
                and datetime.fromisoformat(each["challengeCompletedAt"]),
            )
            for each in body["progress"]
        ],
        "points": body["points"],
        "revoked": [each["rewardLogId"] for each in body["revoked"]],
        "notRevoked": [each["rewardLogId"] for each in body["notRevoked"]],
    }


def facts_of(chunks: Iterable[Happened]) -> Iterable[tuple[int, str, Fact]]:
    """Return what happened with each record, as far as it is compared."""
    for chunk in chunks:
        for event in chunk.envelopes:
            type_ = event["type"].removeprefix("milestream.").removesuffix(".v1")
            if type_ in ABOUT:
                yield int(event["sequence"]), type_, as_fact(type_, event["data"])


def known(type_: str, fact: Fact) -> Fact:
    """Return of a fact of the reference what is compared."""
    extra = ("at", "status", "notRecovered")
    return {name: value for name, value in fact.items() if name in (*ABOUT[type_], *extra)}


@given(void_histories())
def test_voids_are_as_the_contract_says(history: list[Segment]) -> None:
    partition, reference = Partition(), VoidReference()
    chunks: list[Happened] = []
    for segment in history:
        partition.define(*segment.definitions)
        for each in segment.definitions:
            reference.define(each.key, each.value)
        chunks.append(partition.fold(*segment.records))
        answers = iter(chunks[-1].answers)
        for record in segment.records:
            if record.topic == TICKS:
                reference.tick(from_millis(record.timestamp))
                continue
            expected, answer = reference.take(record.topic, record.value, record.timestamp)
            status, body = next(answers)
            assert status == expected, (record, body)
            if answer is not None and "notRevoked" in answer:
                assert as_answer(body) == answer, record

    happened = by_record(facts_of(chunks))
    wanted = by_record(
        (place, type_, known(type_, fact))
        for place, type_, fact in reference.facts
        if type_ in ABOUT
    )
    for facts in (*happened.values(), *wanted.values()):
        facts.sort(key=str)  # a tick's dues have an order of their own
    assert happened == wanted
    for name in MEMBERS:
        member = ids.member_id(PROJECT, name)
        entry = partition.entries.get(balances_key(member))
        balance = 0 if entry is None else BALANCES.decode(entry).total
        assert balance == reference.balances[member, "_default"]
    event_ids = [event["id"] for chunk in chunks for event in chunk.envelopes]
    assert len(event_ids) == len(set(event_ids))


@given(void_histories(), st.data())
def test_voids_fold_alike_however_they_are_cut(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    expected = written(fold_whole(history, whole))
    assert written(fold_in_parts(history, data, parts)) == expected
    assert parts.entries == whole.entries

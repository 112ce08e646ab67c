"""The fold of events, points and streaks agrees with a plain reading of the rules."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.domain.state_kinds import DUE, due_entry
from schemas.topics import FORWARDED, TICKS
from tests.properties.beside import ABOUT, as_reference, events_of, fold_beside
from tests.properties.streak_reference import name_of
from tests.properties.test_folding import cut, fold_in_parts, fold_whole, written
from tests.spec import Happened, Partition, Sent
from tests.strategies import Segment
from tests.strategies_events import event_histories, streak_histories

few = settings(max_examples=max(1, (settings.default or settings()).max_examples // 2))
"""For what would break at once where it broke at all: histories of events are long."""


@given(st.one_of(event_histories(), streak_histories()))
def test_events_and_what_follows_are_as_the_contract_says(history: list[Segment]) -> None:
    fold_beside(history)


@few
@given(event_histories())
def test_balances_add_up_entry_by_entry_and_are_never_below_zero(history: list[Segment]) -> None:
    both = fold_beside(history)
    reference, events = both.reference, both.events
    balances: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for event in events:
        if event["type"].startswith("points."):
            entry = event["data"]
            groups = balances[entry["ownedById"]]
            group = entry["challengeGroup"]
            groups[group] = max(0, groups[group] + entry["points"])
            assert entry["balance"] == groups[group]
            assert entry["totalBalance"] == sum(groups.values())
            assert (entry["operation"] == "redeem") == (entry["points"] < 0)
            assert entry["points"] or entry["base"] + entry["bonus"] == 0 < entry["base"]
    for (member, group), balance in reference.balances.items():
        assert balances[member][group] == balance


@given(streak_histories())
def test_the_last_streak_event_of_a_member_is_its_state(history: list[Segment]) -> None:
    both = fold_beside(history)
    reference, events = both.reference, both.events
    last = {
        (event["data"]["streakId"], event["data"]["ownedById"]): event["data"]
        for event in events
        if event["type"].startswith("streak.")
    }
    assert set(last) == set(reference.streaks)
    for key, streak in reference.streaks.items():
        state, run, broken = last[key], streak.runs[-1], streak.is_broken()
        assert state["currentLength"] == (0 if broken else run.length)
        assert state["longestLength"] == streak.longest
        assert state["targetLength"] == streak.definition["targetLength"]
        assert state["timezone"] == streak.zone
        if not streak.fell_apart:
            assert state["status"] == streak.status()
        assert state["completed"] == any(what == "completion" for what, _ in streak.given)
        if not broken:
            assert state["freezesLeft"] == run.left
            assert state["startedPeriodKey"] == name_of(streak.period, run.hits[0])
            assert datetime.fromisoformat(state["activeUntil"]) == streak.active_until()


@few
@given(event_histories(), st.data())
def test_events_fold_alike_in_any_chunks(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    chunks_of_whole = fold_whole(history, whole)
    chunks_of_parts = fold_in_parts(history, data, parts)
    assert written(chunks_of_parts) == written(chunks_of_whole)
    assert parts.entries == whole.entries


@few
@given(event_histories(), st.data())
def test_chunks_delivered_again_change_nothing(history: list[Segment], data: st.DataObject) -> None:
    partition = Partition()
    for segment in history:
        partition.define(*segment.definitions)
        for run in cut(segment.records, data):
            placed = partition.placed(*run)
            partition.fold(*placed)
            before = dict(partition.entries)
            again = partition.fold(*placed)
            assert not again.effects.outputs
            assert not again.effects.answers
            assert not again.effects.writes
            assert partition.entries == before


@few
@given(event_histories(), st.data())
def test_events_with_a_key_sent_again_get_the_first_answer_and_do_nothing(
    history: list[Segment], data: st.DataObject
) -> None:
    partition = Partition()
    chunks = fold_whole(history, partition)
    sent = [record for segment in history for record in segment.records]
    answers = [answer for chunk in chunks for answer in chunk.answers]
    with_answer = [record for record in sent if record.topic != TICKS]
    keyed = [
        (record, body)
        for record, (status, body) in zip(with_answer, answers, strict=True)
        if status == 200 and record.topic == "events" and b"idempotencyKey" in (record.value or b"")
    ]
    again: list[tuple[Sent, Any]] = []
    if keyed:
        again = data.draw(st.lists(st.sampled_from(keyed), max_size=10))
    repeated = partition.fold(*(record for record, _ in again))
    assert not repeated.of("event.logged")
    assert not [fact for fact in repeated.facts if fact.type != "refused"]
    for (_, first), (status, body) in zip(again, repeated.answers, strict=True):
        assert status in (200, 400, 403, 404)
        if status == 200:
            assert body == first


@few
@given(event_histories(), st.data())
def test_it_does_not_matter_on_which_partition_an_event_lies(
    history: list[Segment], data: st.DataObject
) -> None:
    alone = [
        (event["type"], as_reference(event))
        for event in events_of(fold_whole(history))
        if event["type"] in ABOUT
    ]
    partitions = [Partition(number, 3) for number in range(3)]
    chunks: list[Happened] = []
    for segment in history:
        for partition in partitions:
            partition.define(*segment.definitions)
        for record in segment.records:
            if record.topic == TICKS:
                chunks += [partition.fold(record) for partition in partitions]
                continue
            chunks.append(partitions[data.draw(st.integers(0, 2))].fold(record))
            chunks += [
                partitions[f.partition].fold(
                    Sent(FORWARDED, f.value, f.key, headers=tuple(f.headers))
                )
                for f in chunks[-1].forwards
            ]
    for event in events_of(chunks):
        if event["type"] in ABOUT:
            alone.remove((event["type"], as_reference(event)))
    assert not alone


@few
@given(event_histories())
def test_no_two_of_what_events_lead_to_have_one_id(history: list[Segment]) -> None:
    events = events_of(fold_whole(history))
    assert len({event["id"] for event in events}) == len(events)
    entries = [e["data"]["id"] for e in events if e["type"].startswith("points.")]
    assert len(set(entries)) == len(entries)


@few
@given(event_histories())
def test_a_tick_again_at_the_same_time_finds_nothing_due(history: list[Segment]) -> None:
    partition = Partition()
    fold_whole(history, partition)
    ticks = [r for segment in history for r in segment.records if r.topic == TICKS]
    if ticks:
        latest = max(ticks, key=lambda tick: tick.timestamp)
        partition.fold(Sent(TICKS, latest.value, timestamp=latest.timestamp, headers=()))
        again = partition.fold(Sent(TICKS, latest.value, timestamp=latest.timestamp, headers=()))
        assert not again.facts


@few
@given(st.one_of(event_histories(), streak_histories()))
def test_the_due_index_has_one_entry_for_each_thing_that_can_still_end(
    history: list[Segment],
) -> None:
    both = fold_beside(history)
    reference, partition = both.reference, both.partition
    alive = [streak for streak in reference.streaks.values() if not streak.is_broken()]
    open_ = [
        progress
        for (challenge, _, _), progress in reference.progress.items()
        if progress["status"] == "in_progress"
        and reference.end_of(progress, reference.definitions["challenge", challenge])
    ]
    due = Counter(due_entry(key)[1][:1] for key in partition.entries if key.startswith(DUE.prefix))
    assert due[b"s"] == len(alive)
    assert len(open_) <= due[b"p"] <= len(reference.progress)  # completed ones wait for their end

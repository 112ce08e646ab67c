"""However a history is cut, repeated or read again, it leads to the same."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.state_kinds import POSITION
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, FORWARDED
from tests.built_once import composite, sampled_from
from tests.spec import Happened, Partition, Sent, ann, challenge, log
from tests.strategies import Segment, histories


def fold_whole(history: Iterable[Segment], partition: Partition | None = None) -> list[Happened]:
    """Fold each segment as one chunk."""
    partition = partition or Partition()
    chunks = []
    for segment in history:
        partition.define(*segment.definitions)
        chunks.append(partition.fold(*segment.records))
    return chunks


def cut(records: list[Sent], data: st.DataObject) -> list[list[Sent]]:
    """Cut records into runs, at any places."""
    places = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    ends = [0, *sorted(places), len(records)]
    return [records[a:b] for a, b in pairwise(ends)]


def fold_in_parts(
    history: Iterable[Segment], data: st.DataObject, partition: Partition
) -> list[Happened]:
    """Fold each segment as several chunks, cut at any places."""
    chunks = []
    for segment in history:
        partition.define(*segment.definitions)
        chunks += [partition.fold(*run) for run in cut(segment.records, data)]
    return chunks


def written(chunks: Iterable[Happened]) -> dict[str, list[object]]:
    """Return all that was written, by topic; the log of the chunks themselves apart."""
    everything: dict[str, list[object]] = defaultdict(list)
    for chunk in chunks:
        for topic, outputs in chunk.effects.outputs.items():
            if topic != CHUNK_LOG:
                everything[topic].extend(outputs)
        everything["answers"].extend(chunk.effects.answers)
        everything["forwards"].extend(chunk.effects.forwards)
    return {topic: outputs for topic, outputs in everything.items() if outputs}


@given(histories(), st.data())
def test_any_split_into_chunks_folds_alike(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    chunks_of_whole = fold_whole(history, whole)
    chunks_of_parts = fold_in_parts(history, data, parts)
    assert written(chunks_of_parts) == written(chunks_of_whole)
    assert parts.entries == whole.entries
    counts = [Counter[str](), Counter[str]()]
    for total, chunks in zip(counts, (chunks_of_whole, chunks_of_parts), strict=True):
        for chunk in chunks:
            total.update(chunk.counts)
    assert counts[0] == counts[1]


@given(histories(), st.data())
def test_a_delivery_repeated_at_any_time_changes_nothing(
    history: list[Segment], data: st.DataObject
) -> None:
    once, again = Partition(), Partition()
    expected = written(fold_whole(history, once))
    chunks: list[Happened] = []
    lain: list[Sent] = []
    for segment in history:
        again.define(*segment.definitions)
        for run in cut(segment.records, data):
            placed = again.placed(*run)
            chunks.append(again.fold(*placed))
            lain += placed
            start = data.draw(st.integers(0, len(lain)))
            repeated = again.fold(*lain[start:])
            assert not repeated.effects.outputs
            assert not repeated.effects.writes
            assert repeated.counts.get("skipped", 0) == len(lain) - start
    assert written(chunks) == expected
    assert again.entries == once.entries


@given(histories(), st.data())
def test_a_log_sent_again_is_counted_as_a_duplicate_and_as_nothing_else(
    history: list[Segment], data: st.DataObject
) -> None:
    partition = Partition()
    chunks = fold_whole(history, partition)
    sent = [record for segment in history for record in segment.records]
    statuses = [status for chunk in chunks for status, _ in chunk.answers]
    accepted = [
        record
        for record, status in zip(sent, statuses, strict=True)
        if record.topic == CHALLENGE_LOGS and status in (201, 409)
    ]
    if accepted:
        accepted = data.draw(st.lists(st.sampled_from(accepted), max_size=20))
    before = dict(partition.entries)
    repeated = partition.fold(*accepted)
    assert not repeated.facts
    assert [status for status, _ in repeated.answers] == [409] * len(accepted)
    assert repeated.counts.get("duplicates", 0) == len(accepted)
    assert {k: v for k, v in partition.entries.items() if k != POSITION} == {
        k: v for k, v in before.items() if k != POSITION
    }


@given(histories(), st.data())
def test_it_does_not_matter_on_which_partition_a_record_lies(
    history: list[Segment], data: st.DataObject
) -> None:
    alone = Partition()
    expected = fold_whole(history, alone)
    partitions = [Partition(number, 3) for number in range(3)]
    chunks: list[Happened] = []
    for segment in history:
        for partition in partitions:
            partition.define(*segment.definitions)
        for record in segment.records:
            there = partitions[data.draw(st.integers(0, 2))].fold(record)
            at_home = [
                partitions[f.partition].fold(
                    Sent(FORWARDED, f.value, f.key, headers=tuple(f.headers))
                )
                for f in there.forwards
            ]
            assert not (there.facts and at_home)
            chunks += [there, *at_home]
    entries: dict[bytes, bytes] = {}
    for partition in partitions:
        assert not {*entries} & {*partition.entries} - {POSITION}, "a member's state is split"
        entries |= partition.entries
    assert entries | {POSITION: b""} == alone.entries | {POSITION: b""}
    assert _told(chunks) == _told(expected)


def _told(chunks: list[Happened]) -> list[tuple[str, object]]:
    """Return all facts and answers; of dead letters not the place, which differs."""
    place = ("topic", "partition", "offset")
    told: list[tuple[str, object]] = [
        (type_, {name: value for name, value in fact.items() if name not in place})
        for type_ in ("challenge_log.recorded", "reward.granted", "member.upserted", "refused")
        for chunk in chunks
        for fact in chunk.of(type_)
    ]
    return told + [("answer", answer) for chunk in chunks for answer in chunk.answers]


@given(histories())
def test_every_reward_follows_its_milestone_once_a_member_and_period(
    history: list[Segment],
) -> None:
    chunks = fold_whole(history)
    events = [event for chunk in chunks for event in chunk.envelopes]
    by_type: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for event in events:
        data = event["data"]
        if "milestoneId" in data:
            what = (data["milestoneId"], data["ownedById"], data["periodKey"])
            by_type[event["type"].split(".")[1]].append((event["sequence"], *what))
    assert by_type["reward"] == by_type["milestone"]
    given_to = [what for _, *what in by_type["reward"]]
    assert len({tuple(what) for what in given_to}) == len(given_to)
    logged = {
        (event["sequence"], reward["id"])
        for event in events
        if event["type"] == "milestream.challenge_log.recorded.v1"
        for reward in event["data"]["achievedMilestoneRewardLogs"]
    }
    granted = {
        (event["sequence"], event["data"]["id"])
        for event in events
        if event["type"] == "milestream.reward.granted.v1"
    }
    assert granted == logged


@given(histories())
def test_no_two_events_have_one_id_and_sequences_rise(history: list[Segment]) -> None:
    chunks = fold_whole(history)
    events = [event for chunk in chunks for event in chunk.envelopes]
    assert len({event["id"] for event in events}) == len(events)
    for topic in ("progress-events", "member-events", "reward-events"):
        values = [output.value for chunk in chunks for output in chunk.outputs(topic)]
        sequences = [v.split(b'"sequence":"')[1][:20] for v in values if v]
        assert sequences == sorted(sequences)


digits = st.text("0123456789", min_size=1, max_size=20).map(lambda d: d.lstrip("0") or "0")
fractions = st.text("0123456789", max_size=9)


@composite
def numerals(draw: st.DrawFn) -> str:
    """A JSON number of at most 20 digits before and 9 after the point, in any spelling."""
    sign, whole, fraction = draw(sampled_from(["", "-"])), draw(digits), draw(fractions)
    if draw(st.booleans()):
        return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
    figures = (whole + fraction).lstrip("0") or "0"
    return f"{sign}{figures}{draw(sampled_from(['e', 'E']))}{-len(fraction):+d}"


@given(st.lists(numerals(), min_size=1, max_size=30), st.data())
def test_sums_are_exact_to_the_last_digit(values: list[str], data: st.DataObject) -> None:
    partition = Partition()
    partition.define(challenge())
    partition.fold(ann)
    records = []
    for number, value in enumerate(values):
        text = log(f"log-{number}", 0).value or b""
        text = text.replace(b'"activityValue":0', b'"activityValue":' + value.encode())
        records.append(Sent(CHALLENGE_LOGS, text))
    total = Fraction(0)
    answers = [a for run in cut(records, data) for a in partition.fold(*run).answers]
    for value, (status, body) in zip(values, answers, strict=True):
        total += Fraction(value)
        assert status == 201
        assert Fraction(body["activityValue"]) == Fraction(value)
        shown = body["challengeProgress"]["currentProgressValue"]
        assert Fraction(shown) == max(total, Fraction(0))

"""A chunk is cut where it led to as much as a transaction takes: whatever that consists of."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import Raw

from processor.domain import fold, working_set
from processor.domain.aggregates.event import Did, LoggedEvent
from processor.domain.effects import Effects
from processor.domain.fast_path import MakeFastPath, fastest, in_python
from processor.domain.state_kinds import ANSWER, answer_key
from processor.domain.working_set import WorkingSet
from schemas import ids
from schemas.definitions import MAX_CHALLENGES_FED, MAX_STREAKS_FED
from schemas.instants import parse_instant
from schemas.topics import partition_for
from tests.event_spec import tick
from tests.spec import (
    ANN,
    BEN,
    PROJECT,
    Happened,
    Partition,
    Sent,
    ann,
    challenge,
    given,
    log,
    milestone,
    numbered,
    upsert,
)

PARTITIONS = 4
HOME = partition_for(ANN, PARTITIONS)
ELSEWHERE = next(
    name
    for name in (f"user-{number}" for number in range(100))
    if partition_for(ids.member_id(PROJECT, name), PARTITIONS) != HOME
)


def wanting_reply(sent: Sent) -> Sent:
    return sent.with_headers(
        ("kafka_replyTopic", b"replies"),
        ("kafka_replyPartition", (0).to_bytes(4, "big")),
        ("kafka_correlationId", b"1"),
    )


def at_home() -> Partition:
    return given(challenge(), ann, partition=Partition(HOME, PARTITIONS)).partition


def of_writes(effects: Effects) -> int:
    return sum(len(key) + len(value or b"") for key, value in effects.writes.items())


def of_answers(effects: Effects) -> int:
    return sum(len(answer.value) for answer in effects.answers)


def of_forwards(effects: Effects) -> int:
    return sum(len(forward.key) + len(forward.value or b"") for forward in effects.forwards)


def of_outputs(effects: Effects) -> int:
    return sum(len(o.value) for outputs in effects.outputs.values() for o in outputs)


def test_the_size_is_that_of_all_that_is_written() -> None:
    effects = at_home().fold(wanting_reply(log("a", 100)), upsert(ELSEWHERE)).effects
    parts = [of(effects) for of in (of_outputs, of_forwards, of_answers, of_writes)]
    assert all(parts)
    assert effects.size == sum(parts)


def cut(monkeypatch: pytest.MonkeyPatch, *records: Sent) -> Happened:
    """Fold with room for 20,000 bytes."""
    monkeypatch.setattr(fold, "MAX_OUTPUT_BYTES", 20_000)
    happened = at_home().fold(*records)
    assert 0 < happened.counts["folded"] < len(records)
    assert not happened.effects.complete
    return happened


def test_forwards_cut_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [upsert(ELSEWHERE, firstName="x" * 200) for _ in range(300)]
    assert of_forwards(cut(monkeypatch, *records).effects) > 18_000


def test_answers_cut_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    first = log("a", 100)
    records = [wanting_reply(first) for _ in range(300)]  # one is recorded, all are answered
    assert of_answers(cut(monkeypatch, *records).effects) > 10_000


def test_entries_cut_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each log is an entry; what is announced of it counts only so much."""
    records = [log(f"log-{number}", 1) for number in range(300)]
    effects = cut(monkeypatch, *records).effects
    assert of_writes(effects) > 1_000
    assert of_outputs(effects) < 20_000


STEPS = [
    milestone(1, f"00000000-0000-4000-8000-{number:012d}", name=f"step {number}")
    for number in range(100)
]


@pytest.mark.parametrize("fast_path", [fastest, in_python])
def test_milestones_that_were_reached_cut_a_chunk(
    monkeypatch: pytest.MonkeyPatch, fast_path: MakeFastPath
) -> None:
    """The progress of each member is written with all that it reached, 3.9 KB of it; so it counts,
    whoever folds the log."""
    members = [f"user-{number}" for number in range(60)]
    partition = Partition(fast_path=fast_path)
    partition.define(challenge(), *STEPS)
    partition.fold(*(upsert(name) for name in members))
    partition.fold(*(silent(log("first", 1, ownedBy={"externalId": n})) for n in members))
    monkeypatch.setattr(fold, "MAX_OUTPUT_BYTES", 200_000)
    again = [silent(log("second", 1, ownedBy={"externalId": name})) for name in members]
    effects = partition.fold(*again).effects
    assert not effects.complete
    assert of_writes(effects) < 200_000


def test_entries_that_are_read_cut_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each repeated log reads the answer that it had: of a MiB, where it reached much."""
    monkeypatch.setattr(fold, "MAX_READ_BYTES", 20_000)
    monkeypatch.setattr(working_set, "PREFETCHED_BYTES", 10_000)
    monkeypatch.setattr(working_set, "PREFETCHED_KEYS", 4)
    logs = [log(f"log-{number}", 1) for number in range(300)]
    partition = at_home()
    partition.compared = False
    partition.fold(*logs, whole=True)
    read: list[int] = []
    load = partition.load

    def counted(keys: Sequence[bytes]) -> Sequence[bytes | None]:
        found = load(keys)
        read.append(sum(len(entry or b"") for entry in found))
        return found

    monkeypatch.setattr(partition, "load", counted)
    repeated = [replace(each, offset=-1) for each in logs]
    happened = partition.fold(*repeated)
    assert 0 < happened.counts["duplicates"] < len(logs)
    assert not happened.effects.complete
    assert 20_000 < sum(read) < 25_000
    rest = repeated[happened.counts["folded"] :]
    assert partition.fold(rest[0], whole=True).counts["duplicates"] == 1


def test_what_was_read_ahead_does_not_decide_what_a_member_releases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever folds the chunk again has its records alone, not those behind where it was cut."""
    monkeypatch.setattr(fold, "MAX_READ_BYTES", 2_000)
    first = [log(f"log-{number}", 1, ownedById=BEN) for number in range(20)]
    waiting = log("waits", 5).with_headers()
    found = []
    for ahead in ([replace(each, offset=-1) for each in first], []):
        partition = given(challenge(), upsert("ben"), *first).partition
        partition.fold(waiting)
        happened = partition.fold(ann, *ahead, whole=not ahead)
        assert happened.counts["folded"] == 1
        found.append((happened.effects.outputs, happened.effects.more_due))
    assert found[0] == found[1]


def test_one_record_is_folded_however_much_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "MAX_READ_BYTES", 1)
    first = log("a", 100)
    happened = at_home().fold(first, log("b", 1))
    assert happened.counts["folded"] == 1
    assert not happened.effects.complete


def replayed(monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int], *records: Sent) -> None:
    """Fold with and without knowing the topics of replies, as verify does: all else is the same."""
    monkeypatch.setattr(*bound)
    found = []
    for reply_partitions in ({"replies": 4}, {}):
        partition = Partition(HOME, PARTITIONS, reply_partitions)
        given(challenge(), ann, silent(log("a", 1)), partition=partition)
        effects = partition.fold(*records).effects
        found.append((effects.outputs, effects.writes, effects.more_due, effects.complete))
    assert found[0] == found[1]


def silent(sent: Sent) -> Sent:
    return sent.with_headers()


def test_an_answer_that_is_too_large_is_so_for_whoever_folds_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound = ("processor.domain.fold.MAX_VALUE_BYTES", 500)
    replayed(monkeypatch, bound, wanting_reply(log("a", 1)))


def test_a_tick_behind_answers_stops_where_it_did_for_whoever_folds_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound = ("processor.domain.handlers.ticks.MAX_OUTPUT_BYTES", 20_000)
    again = [wanting_reply(log("a", 1)) for _ in range(30)]
    replayed(monkeypatch, bound, *again, tick("2026-11-22"))


def test_what_the_chunk_log_tells_is_not_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [log(f"log-{number}", 1) for number in range(300)]
    first = at_home().fold(*records).effects
    monkeypatch.setattr(fold, "MAX_OUTPUT_BYTES", 20_000)  # another version's
    again = at_home().fold(*records, whole=True).effects
    assert again.complete
    assert again.outputs == first.outputs


def test_what_an_event_did_is_weighed_with_its_answer() -> None:
    hits = tuple((f"{n:03d}-{'s' * 252}", "2026-11-21") for n in range(MAX_STREAKS_FED))
    at = parse_instant("2026-11-21T12:00:00Z")
    did = Did("default", "_default", at, "UTC", None, (b"0" * 16,) * MAX_CHALLENGES_FED, hits)
    entries = WorkingSet(lambda keys: [None] * len(keys), lambda *_: [])
    entries.set(ANSWER, answer_key(numbered(1)), LoggedEvent(Raw(b"[]"), did))
    (written,) = entries.changes().values()
    assert written is not None
    assert entries.weight >= len(written) > 15_000

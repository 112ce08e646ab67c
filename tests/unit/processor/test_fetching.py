"""What is handed out is bounded in bytes, and says which seek it follows and where it begins."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.subscription_state import Assignment

from processor import fetching
from processor.fetching import NO_EPOCH, RECORD_BYTES, HandedOut, drain, positions, weigh

A, B = TopicPartition("a", 0), TopicPartition("b", 0)


def record(offset: int, value: bytes | None = b"", headers: Sequence[Any] = ()) -> Any:
    """A record as far as it is looked at."""
    return SimpleNamespace(offset=offset, key=None, value=value, headers=headers)


class Unpacked:
    """What aiokafka unpacks records from: it knows up to where it did."""

    def __init__(self, records: list[Any], end: int) -> None:
        self.next_fetch_offset = records[0].offset if records else end
        self._iterator = self._walk(records, end)

    def _walk(self, records: list[Any], end: int) -> Iterator[Any]:
        for one in records:
            self.next_fetch_offset = one.offset + 1
            yield one
        self.next_fetch_offset = end

    def __iter__(self) -> "Unpacked":
        return self

    def __next__(self) -> Any:
        return next(self._iterator)


class Fetched:
    """A fetcher with records of partitions, all sought to their first."""

    def __init__(self, **records: list[Any]) -> None:
        self.assignment = Assignment([A, B])
        self._records: dict[TopicPartition, Any] = {}
        self._wait_consume_future = None
        self.asked_for_more = 0
        for name, found in records.items():
            tp = TopicPartition(name, 0)
            self.assignment.state_value(tp).seek(found[0].offset)
            self._records[tp] = FetchResult(
                tp,
                assignment=self.assignment,
                partition_records=Unpacked(found, found[-1].offset + 2),  # a marker follows
                backoff=0,
            )

    def _notify(self, _: object) -> None:
        self.asked_for_more += 1


def offsets(drained: dict[TopicPartition, list[Any]]) -> dict[str, list[int]]:
    return {tp.topic: [r.offset for r in records] for tp, records in drained.items()}


async def test_all_is_handed_out_where_it_is_little() -> None:
    fetched = Fetched(a=[record(3), record(4)], b=[record(0)])
    drained, weights = drain(fetched, {A, B}, {})
    assert offsets(drained) == {"a": [3, 4], "b": [0]}
    assert weights == {A: 2 * RECORD_BYTES, B: RECORD_BYTES}
    assert fetched._records == {}
    assert fetched.asked_for_more == 2
    assert positions(fetched.assignment) == {A: 6, B: 2}


async def test_a_partition_that_is_not_wanted_keeps_what_it_has() -> None:
    fetched = Fetched(a=[record(3)], b=[record(0)])
    drained, _ = drain(fetched, {B}, {})
    assert offsets(drained) == {"b": [0]}
    assert list(fetched._records) == [A]
    assert positions(fetched.assignment)[A] == 3


async def test_bytes_bound_what_is_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """8,000 records of 2 MiB would be 16 GB."""
    monkeypatch.setattr(fetching, "MAX_PARTITION_BYTES", 3 * RECORD_BYTES)
    monkeypatch.setattr(fetching, "MAX_BYTES", 4 * RECORD_BYTES)
    fetched = Fetched(a=[record(n) for n in range(9)], b=[record(n) for n in range(9)])
    assert offsets(drain(fetched, {A, B}, {})[0]) == {"a": [0, 1, 2], "b": [0]}
    assert positions(fetched.assignment) == {A: 3, B: 1}
    first = {A: [record(3)]}  # what aiokafka handed out itself, when it waited
    fetched.assignment.state_value(A).seek(4)
    next(fetched._records[A]._partition_records)
    assert offsets(drain(fetched, {A, B}, first)[0]) == {"a": [3, 4, 5], "b": [1]}


async def test_one_record_is_handed_out_however_large_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "MAX_PARTITION_BYTES", 10)
    monkeypatch.setattr(fetching, "MAX_BYTES", 10)
    fetched = Fetched(a=[record(0, b"x" * 100), record(1)])
    assert offsets(drain(fetched, {A}, {})[0]) == {"a": [0]}
    assert offsets(drain(fetched, {A}, {})[0]) == {"a": [1]}


async def test_records_are_counted_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_RECORDS", 3)
    fetched = Fetched(a=[record(n) for n in range(5)], b=[record(0)])
    assert offsets(drain(fetched, {A, B}, {})[0]) == {"a": [0, 1, 2]}


async def test_what_was_sought_away_from_is_not_handed_out() -> None:
    fetched = Fetched(a=[record(3), record(4)])
    fetched.assignment.state_value(A).seek(0)
    assert drain(fetched, {A}, {}) == ({}, {})
    assert fetched._records == {}  # and is fetched anew


async def test_an_error_is_left_for_aiokafka_to_raise() -> None:
    fetched = Fetched(a=[record(0)])
    fetched._records[B] = error = object()
    assert offsets(drain(fetched, {A, B}, {})[0]) == {"a": [0]}
    assert fetched._records == {B: error}


def test_a_record_weighs_what_it_holds() -> None:
    headers = (("ab", b"cde"), ("f", None))
    assert weigh(record(0, b"12345", headers)) == RECORD_BYTES + 5 + 2 + 3 + 1
    assert weigh(record(0, None)) == RECORD_BYTES


def test_records_begin_after_those_before_them_whatever_the_position_passed() -> None:
    assignment, handed_out = object(), HandedOut()
    handed_out.sought(assignment, {A: 5}, 7)
    first = handed_out.take(assignment, {A: [record(5), record(6)]}, {A: 8}, {A: 1})
    assert (first.epoch, first.starts, first.positions, first.size) == (7, {A: 5}, {A: 8}, 2)
    then = handed_out.take(assignment, {A: [record(9)]}, {A: 10}, {A: 1})
    assert (then.epoch, then.starts) == (7, {A: 7})


def test_records_of_an_assignment_that_was_not_sought_are_of_no_epoch() -> None:
    """They come from wherever the group's offsets were."""
    handed_out = HandedOut()
    handed_out.sought(object(), {A: 5}, 7)
    found = handed_out.take(object(), {A: [record(90)]}, {A: 91}, {A: 1})
    assert (found.epoch, found.size) == (NO_EPOCH, 1)
    assert handed_out.take(None, {A: [record(90)]}, {}, {}).epoch == NO_EPOCH


def test_a_partition_that_was_not_sought_is_not_handed_out() -> None:
    assignment, handed_out = object(), HandedOut()
    handed_out.sought(assignment, {A: 5}, 7)
    found = handed_out.take(assignment, {A: [record(5)], B: [record(9)]}, {}, {A: 1, B: 1})
    assert found.records == {A: [record(5)]}


def test_after_a_failure_nothing_counts_as_complete_until_the_next_seek() -> None:
    assignment, handed_out = object(), HandedOut()
    handed_out.sought(assignment, {A: 5}, 7)
    handed_out.forget()
    assert handed_out.take(assignment, {A: [record(6)]}, {}, {}).epoch == NO_EPOCH
    handed_out.sought(assignment, {A: 5}, 8)
    assert handed_out.take(assignment, {A: [record(5)]}, {}, {}).epoch == 8


def test_a_topic_that_is_not_sought_is_handed_out_from_wherever_it_begins() -> None:
    assignment, handed_out = object(), HandedOut(unsought="b")
    assert handed_out.take(assignment, {B: [record(7)]}, {}, {}).epoch == NO_EPOCH
    handed_out.sought(assignment, {A: 3}, 5)
    fetch = handed_out.take(assignment, {A: [record(4)], B: [record(7), record(9)]}, {}, {})
    assert (fetch.epoch, fetch.starts) == (5, {A: 3, B: 7})
    assert handed_out.take(assignment, {B: [record(12)]}, {}, {}).starts == {B: 12}

"""The fold of points agrees with a plain reading of the rules, and its lots always add up."""

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates import wallet as wallet_of
from schemas import ids
from tests.properties.beside import fold_beside
from tests.properties.points_state import Checked
from tests.properties.test_folding import fold_in_parts, fold_whole, written
from tests.spec import PROJECT, Partition
from tests.strategies import Segment
from tests.strategies_points import points_histories


@contextmanager
def at_most(lots: int) -> Iterator[None]:
    """Have a wallet hold so few lots that they are merged all the time."""
    before = wallet_of.MAX_LOTS
    wallet_of.MAX_LOTS = lots
    try:
        yield
    finally:
        wallet_of.MAX_LOTS = before


@given(points_histories())
def test_points_are_as_the_rules_say(history: list[Segment]) -> None:
    fold_beside(history, one_by_one=Checked())


@given(points_histories(), st.integers(2, 5))
def test_points_are_as_the_rules_say_where_lots_are_merged(
    history: list[Segment], most: int
) -> None:
    with at_most(most):
        fold_beside(history, most_lots=most, one_by_one=Checked())


@given(points_histories(), st.data())
def test_points_fold_alike_in_any_chunks(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    chunks = fold_whole(history, whole)
    assert written(fold_in_parts(history, data, parts)) == written(chunks)
    assert parts.entries == whole.entries


@given(points_histories())
def test_no_two_events_of_points_have_one_id(history: list[Segment]) -> None:
    events = [event for chunk in fold_whole(history) for event in chunk.envelopes]
    assert len({event["id"] for event in events}) == len(events)
    entries = [e["data"] for e in events if "operation" in e["data"]]
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        member = ids.member_id(PROJECT, entry["userId"])
        assert entry["ownedById"] == member

"""Tiers agree with a naive reading of the rules over random histories, however they are cut."""

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.beside import fold_beside
from tests.properties.test_folding import fold_in_parts, written
from tests.spec import Partition
from tests.strategies import Segment
from tests.strategies_tiers import tier_histories


@given(tier_histories())
def test_tiers_are_as_a_naive_reading_has_them(history: list[Segment]) -> None:
    fold_beside(history)


@given(tier_histories(), st.data())
def test_any_cut_into_chunks_folds_alike(history: list[Segment], data: st.DataObject) -> None:
    alone, together = Partition(), Partition()
    one_by_one = []
    for segment in history:
        alone.define(*segment.definitions)
        one_by_one += [alone.fold(record) for record in segment.records]
    cut = fold_in_parts(history, data, together)
    assert written(cut) == written(one_by_one)
    assert alone.entries == together.entries

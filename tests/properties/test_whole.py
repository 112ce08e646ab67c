"""Everything that moves points, at once: the fold is what the naive reference says, always."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.beside import fold_beside
from tests.properties.points_state import Checked
from tests.properties.test_folding import fold_in_parts, fold_whole, written
from tests.spec import Partition
from tests.strategies import Segment
from tests.strategies_whole import whole_histories

few = settings(max_examples=max(1, (settings.default or settings()).max_examples // 2))
"""Each history has all that there is, and is as dear as several others."""


@few
@given(whole_histories())
def test_everything_is_as_the_rules_say_and_lots_always_add_up(history: list[Segment]) -> None:
    fold_beside(history, one_by_one=Checked(), compared=False)


@few
@given(whole_histories(), st.data())
def test_everything_folds_alike_in_any_chunks(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    chunks = fold_whole(history, whole)
    assert written(fold_in_parts(history, data, parts)) == written(chunks)
    assert parts.entries == whole.entries

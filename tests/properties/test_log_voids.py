"""The fold of voids of challenge logs agrees with a plain reading of the rules."""

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.state_kinds import BALANCES, balances_key
from schemas import ids
from tests.properties.beside import fold_beside
from tests.properties.test_folding import fold_in_parts, fold_whole, written
from tests.spec import PROJECT, Partition
from tests.strategies import Segment
from tests.strategies_voids import MEMBERS, void_histories


@given(void_histories())
def test_voids_are_as_the_contract_says(history: list[Segment]) -> None:
    both = fold_beside(history)
    for name in MEMBERS:
        member = ids.member_id(PROJECT, name)
        entry = both.partition.entries.get(balances_key(member))
        balance = 0 if entry is None else BALANCES.decode(entry).total
        assert balance == both.reference.balances.get((member, "_default"), 0)


@given(void_histories(), st.data())
def test_voids_fold_alike_however_they_are_cut(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    expected = written(fold_whole(history, whole))
    assert written(fold_in_parts(history, data, parts)) == expected
    assert parts.entries == whole.entries

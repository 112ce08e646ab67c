"""What a recalculation corrects is what two plain readings of the rules differ by."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processor.recalculation.wanted import Mode
from tests.properties.recalculated import (
    as_expected,
    chunked,
    expected,
    recalculate,
    told,
    wanted_of,
)
from tests.strategies_recalculations import Asked, asked

modes: st.SearchStrategy[Mode] = st.sampled_from(["additive", "exact"])


def challenges_of(case: Asked) -> set[str]:
    """The challenges that are recalculated."""
    found = {case.challenge_id} if case.challenge_id else set()
    for each in case.changed:
        fields = each.fields or {}
        found.add(each.id if each.kind == "challenge" else fields["linkedSchemaRecordId"])
    return found


@given(asked(), modes, st.sampled_from([1, 3, 100]))
def test_corrections_are_what_histories_differ_by(case: Asked, mode: Mode, at_once: int) -> None:
    wanted = wanted_of(case.changed, mode, case.challenge_id)
    found = recalculate(chunked(case.history, at_once), wanted)
    challenges = challenges_of(case)
    both = told(case.history, case.changed, challenges)
    differences = expected(both, challenges, mode)
    corrected = dict(map(as_expected, found))
    assert len(corrected) == len(found)
    seen = {key: each for key, each in differences.items() if each.is_anything}
    assert {key: each for key, each in corrected.items() if each.is_anything} == seen
    for each in found:
        if each.completed:
            key = each.challenge_id, each.member_id, each.period_key
            assert each.completed_at == both.now.progress[key]["completed"]

"""What a recalculation corrects is what two plain readings of the rules differ by."""

from hypothesis import given
from hypothesis import strategies as st

from processor.recalculation.wanted import Mode
from tests.correction_spec import RECALCULATION, cut
from tests.properties.recalculated import (
    Chunked,
    as_expected,
    chunked,
    command_of,
    expected,
    recalculate,
    told,
    wanted_of,
)
from tests.spec import Sent
from tests.strategies import Segment
from tests.strategies_recalculations import Asked, asked, without_caps

LATER = "2027-06-01T00:00:00Z"

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


@given(without_caps(), modes, st.integers(0, 8))
def test_what_is_corrected_needs_no_more_correction(case: Asked, mode: Mode, live: int) -> None:
    made, after = until_cut(case, live)
    wanted = wanted_of(case.changed, mode, case.challenge_id)
    commands = [
        command_of(each, RECALCULATION, LATER)
        for each in recalculate(made, wanted, RECALCULATION)
        if each.changes
    ]
    made.add(Segment([], after), 3)
    made.add(Segment([], commands), 3)
    again = recalculate(made, wanted)
    for each in again:
        assert not each.difference
        assert not each.falls_short
        assert not each.completed or lowers(after)
        assert not each.reached or lowers(after)


def until_cut(case: Asked, live: int) -> tuple[Chunked, list[Sent]]:
    """A history with its last few records left out, its cut, and these records."""
    *before, last = case.history
    kept = len(last.records) - live
    made = chunked([*before, Segment(last.definitions, last.records[: max(kept, 0)])], 3)
    made.add(Segment([*case.changed], []), 3)
    made.add(Segment([], [cut()]), 3)
    return made, last.records[max(kept, 0) :]


def lowers(records: list[Sent]) -> bool:
    """Whether some of the records may lower a sum: a peak may be gone when it is corrected."""
    return any(b'"void"' in (each.value or b"") or b":-" in (each.value or b"") for each in records)

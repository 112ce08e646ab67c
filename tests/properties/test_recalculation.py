"""What a recalculation corrects is what two plain readings of the rules differ by."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from processor.recalculation.correction import Correction
from processor.recalculation.wanted import Mode
from tests.correction_spec import RECALCULATION, cut
from tests.properties.recalculated import (
    Chunked,
    Key,
    as_expected,
    as_folded,
    as_listed,
    chunked,
    command_of,
    expected,
    recalculate,
    recalculated,
    told,
    wanted_of,
    without_left,
)
from tests.spec import Sent, ann, challenge, log, milestone
from tests.strategies import Segment
from tests.strategies_recalculations import Asked, asked, without_caps

LATER = "2040-01-01T00:00:00Z"

few = settings(max_examples=max(1, (settings.default or settings()).max_examples // 3))
"""Each history is folded twice by the fold, and twice by the reference."""

modes: st.SearchStrategy[Mode] = st.sampled_from(["additive", "exact"])


KEPT_FOR_EVER = Asked(
    [Segment([challenge(aggregationPeriod="all_time")], [ann, log("a", 40)])],
    [challenge(aggregationPeriod="all_time", aggregationMethod="count"), milestone(3)],
    None,
)
"""What additive keeps of a period without an end meets a new target."""


def challenges_of(case: Asked) -> set[str]:
    """The challenges that are recalculated."""
    found = {case.challenge_id} if case.challenge_id else set()
    for each in case.changed:
        fields = each.fields or {}
        found.add(each.id if each.kind == "challenge" else fields["linkedSchemaRecordId"])
    return found


@few
@example(KEPT_FOR_EVER, "additive", 100)
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
    listed = without_left(both, challenges, corrected)
    assert {key: each for key, each in listed.items() if each.is_anything} == seen
    for each in found:
        now = both.now.progress.get((each.challenge_id, each.member_id, each.period_key))
        if each.completed and now is not None and now["status"] == "completed":
            assert each.completed_at == now["completed"]


@few
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
    easier = completed_by_easier_rules(case, live)
    for each in recalculate(made, wanted):
        if each.changes:
            assert (each.challenge_id, each.member_id, each.period_key) in easier
            assert is_points_alone(each)


def completed_by_easier_rules(case: Asked, live: int) -> set[Key]:
    """The progress that was completed by the cut, and would not be there: what completes it by the
    rules of now comes later, and nobody can know. A later recalculation gives what it gives more.
    """
    *before, last = case.history
    kept = Segment(last.definitions, last.records[: max(len(last.records) - live, 0)])
    both = told([*before, kept], case.changed, challenges_of(case))
    return {
        key
        for key, was in both.was.progress.items()
        if (was["status"] == "completed" or was.get("reopened"))
        and both.now.progress.get(key, {"status": ""})["status"] != "completed"
    }


def is_points_alone(correction: Correction) -> bool:
    """Tell whether a correction gives more points for a completion, and does nothing else."""
    others = (
        *(correction.difference, correction.completed, correction.falls_short),
        *(*correction.reached, *correction.not_given),
    )
    return correction.completion_adds and not any(others)


@few
@given(asked(), modes)
def test_a_correction_gives_what_it_lists_and_no_more(case: Asked, mode: Mode) -> None:
    made, _ = until_cut(case, 0)
    wanted = wanted_of(case.changed, mode, case.challenge_id)
    found, partition = recalculated(made, wanted, RECALCULATION)
    for each in found:
        if each.changes:
            happened = partition.fold(command_of(each, RECALCULATION, LATER))
            assert as_folded(happened) == as_listed(each)
    for each in found:  # as one sends them again who was frozen meanwhile, and is followed by now
        if each.changes:
            assert not partition.fold(command_of(each, RECALCULATION, LATER)).facts


def until_cut(case: Asked, live: int) -> tuple[Chunked, list[Sent]]:
    """A history with its last few records left out, its cut; and those of these records that lower
    nothing.

    A peak may be gone when it is corrected; and a void acts where its log was counted, not where
    it would have been.
    """
    *before, last = case.history
    kept = max(len(last.records) - live, 0)
    made = chunked([*before, Segment(last.definitions, last.records[:kept])], 3)
    made.add(Segment([*case.changed], []), 3)
    made.add(Segment([], [cut()]), 3)
    return made, [each for each in last.records[kept:] if not _lowers(each)]


def _lowers(record: Sent) -> bool:
    value = record.value or b""
    return b'"void"' in value or b":-" in value

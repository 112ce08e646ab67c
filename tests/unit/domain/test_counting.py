"""What a challenge log adds to progress, if anything (`schemas/README.md#challenge-logs`)."""

from decimal import Decimal

import pytest

from tests.spec import (
    ANN,
    CHALLENGE,
    OTHER_CHALLENGE,
    ann,
    challenge,
    command,
    completed,
    given,
    log,
    progress,
    raw_log,
    recorded,
    refused,
    upserted,
)

D = Decimal


def test_a_sum_adds_the_activity_value() -> None:
    given(ann, challenge()).when(log("a", 30), log("b", D("12.5"))).then(
        recorded(progress(30), activityValue=30),
        recorded(progress(D("42.5")), activityValue=D("12.5")),
    )


def test_a_count_adds_one_whatever_the_activity_value_says() -> None:
    given(ann, challenge(aggregationMethod="count")).when(
        log("a", 50), log("b"), log("c", D("-0.3"))
    ).then(
        recorded(progress(1), activityValue=50),
        recorded(progress(2), activityValue=None),
        recorded(progress(3), activityValue=D("-0.3")),
    )


def test_a_sum_refuses_a_log_without_a_value_and_its_identifier_stays_free() -> None:
    refusal = given(ann, challenge()).when(log("a"))
    refusal.then(refused("invalid", "activityValue"))
    refusal.and_when(log("a", 5)).then(recorded(progress(5)))


def test_an_explicit_null_is_no_value() -> None:
    five = log("a", 5).value or b""
    null = raw_log(five.replace(b'"activityValue":5', b'"activityValue":null'))
    given(ann, challenge()).when(null).then(refused("invalid", "activityValue"))


def test_ten_logs_of_a_tenth_complete_a_target_of_one() -> None:
    tenths = [log(f"log-{n}", D("0.1")) for n in range(10)]
    given(ann, challenge(completionTargetValue=1)).when(*tenths).then(
        *[recorded(progress(D(n) / 10)) for n in range(1, 10)],
        recorded(progress(1, "completed")),
        completed(currentProgressValue=1),
    )


def test_twenty_and_nine_digits_add_up_to_the_last() -> None:
    large, small = D("99999999999999999999.999999998"), D("0.000000001")
    given(ann, challenge()).when(log("a", large), log("b", small)).then(
        recorded(progress(large, "completed")),
        completed(),
        recorded(progress(D("99999999999999999999.999999999"), "completed")),
    )


def test_a_correction_lowers_the_exact_sum_and_what_is_shown_is_never_below_zero() -> None:
    given(ann, challenge()).when(log("a", 30), log("b", -50), log("c", 25)).then(
        recorded(progress(30)), recorded(progress(0)), recorded(progress(5))
    )


def test_a_correction_may_come_first() -> None:
    given(ann, challenge()).when(log("a", -10), log("b", 15)).then(
        recorded(progress(0)), recorded(progress(5))
    )


def test_completed_comes_once_with_the_time_of_the_crossing_log() -> None:
    given(ann, challenge()).when(
        log("a", 60, activityAt="2026-11-21T08:00:00Z"),
        log("b", 60, activityAt="2026-11-21T09:00:00Z"),
        log("c", 60, activityAt="2026-11-21T11:00:00Z"),
    ).then(
        recorded(progress(60, challengeCompletedAt=None)),
        recorded(progress(120, "completed", challengeCompletedAt="2026-11-21T09:00:00Z")),
        completed(challengeCompletedAt="2026-11-21T09:00:00Z", currentProgressValue=120),
        recorded(progress(180, "completed", challengeCompletedAt="2026-11-21T09:00:00Z")),
    )


def test_the_target_itself_completes() -> None:
    given(ann, challenge()).when(log("a", 100)).then(
        recorded(progress(100, "completed")), completed()
    )


def test_completed_stays_completed_under_a_correction_and_goes_on_counting() -> None:
    given(ann, challenge(), log("a", 100)).when(log("b", -40), log("c", 50)).then(
        recorded(progress(60, "completed")), recorded(progress(110, "completed"))
    )


def test_started_is_the_earliest_counted_activity() -> None:
    given(ann, challenge()).when(
        log("a", 1, activityAt="2026-11-21T09:00:00Z"),
        log("b", 1, activityAt="2026-11-21T07:00:00Z"),
        log("c", 1, activityAt="2026-11-21T08:00:00Z"),
        log("d", 1, activityAt="2026-11-21T06:00:00Z", status="paused"),
    ).then(
        recorded(progress(1, challengeStartedAt="2026-11-21T09:00:00Z")),
        recorded(progress(2, challengeStartedAt="2026-11-21T07:00:00Z")),
        recorded(progress(3, challengeStartedAt="2026-11-21T07:00:00Z")),
        recorded(progress(3, challengeStartedAt="2026-11-21T07:00:00Z")),
    )


@pytest.mark.parametrize("status", ["paused", "draft"])
def test_a_log_that_is_not_live_is_recorded_and_its_identifier_is_used_up(status: str) -> None:
    first = given(ann, challenge(), log("a", 10)).when(log("b", 20, status=status))
    first.then(recorded(progress(10), status=status, activityValue=20))
    first.and_when(log("b", 20)).then().answering((409, {"code": "duplicate"}))


@pytest.mark.parametrize("status", ["paused", "draft"])
def test_logs_of_a_challenge_that_is_not_live_never_count_and_are_used_up(status: str) -> None:
    paused = given(ann, challenge(), log("a", 10), challenge(status=status)).when(log("b", 20))
    paused.then(recorded(progress(10)))
    resumed = paused.and_given(challenge())
    resumed.when(log("b", 20)).then().answering((409, {"code": "duplicate"}))
    resumed.when(log("c", 1)).then(recorded(progress(11)))


def test_logs_of_a_paused_member_are_recorded_with_unchanged_progress() -> None:
    pause = command("update-member-status", userId="ann", status="paused")
    resume = command("update-member-status", userId="ann", status="live")
    paused = given(ann, challenge(), log("a", 10), pause).when(log("b", 20))
    paused.then(recorded(progress(10)))
    resumed = paused.and_given(resume)
    resumed.when(log("b", 20)).then().answering((409, {"code": "duplicate"}))
    resumed.when(log("c", 1)).then(recorded(progress(11)))


def test_a_log_that_never_counted_has_no_progress() -> None:
    given(ann, challenge(status="paused")).when(log("a", 10)).then(
        recorded(challengeProgress=None, nextMilestone=None)
    )


def test_only_the_activities_that_the_challenge_names_count() -> None:
    given(ann, challenge(activityIds=["purchase", "refund"])).when(
        log("a", 1), log("b", 1, activityId="visit"), log("c", 1, activityId="refund")
    ).then(recorded(progress(1)), recorded(progress(1)), recorded(progress(2)))


def test_an_empty_list_of_activities_lets_none_count() -> None:
    given(ann, challenge(activityIds=[])).when(log("a", 1)).then(recorded(challengeProgress=None))


def test_a_challenge_counts_from_its_start_until_before_its_end() -> None:
    window = challenge(startsAt="2026-11-21T08:00:00Z", endsAt="2026-11-21T10:00:00+01:00")
    given(ann, window).when(
        log("early", 1, activityAt="2026-11-21T07:59:59.999999Z"),
        log("start", 1, activityAt="2026-11-21T08:00:00Z"),
        log("last", 1, activityAt="2026-11-21T08:59:59.999999Z"),
        log("end", 1, activityAt="2026-11-21T09:00:00Z"),
    ).then(
        recorded(challengeProgress=None),
        recorded(progress(1)),
        recorded(progress(2)),
        recorded(progress(2)),
    )


def test_members_and_challenges_have_each_their_own_progress() -> None:
    given(ann, challenge(), challenge(OTHER_CHALLENGE)).when(
        log("a", 1),
        log("a", 2, challengeId=OTHER_CHALLENGE),
        log("a", 4, ownedBy={"externalId": "ben"}),
    ).then(
        recorded(progress(1), challengeId=CHALLENGE, ownedById=ANN),
        recorded(progress(2), challengeId=OTHER_CHALLENGE, ownedById=ANN),
        recorded(progress(4), challengeId=CHALLENGE),
        upserted("ben"),
    )


def test_progress_keeps_the_method_that_it_began_with() -> None:
    given(ann, challenge(), log("a", 10), challenge(aggregationMethod="count")).when(
        log("b", 5)
    ).then(recorded(progress(15, aggregationMethod="sum")))


def test_a_new_period_begins_with_the_method_as_it_is_now() -> None:
    given(ann, challenge(), log("a", 10), challenge(aggregationMethod="count")).when(
        log("b", 5, activityAt="2026-11-20T10:00:00Z")
    ).then(recorded(progress(1, aggregationMethod="count", periodKey="2026-11-20")))


def test_progress_that_began_as_a_sum_still_needs_values() -> None:
    given(ann, challenge(), log("a", 10), challenge(aggregationMethod="count")).when(log("b")).then(
        refused("invalid", "activityValue")
    )


def test_a_lowered_target_completes_with_the_next_counted_log() -> None:
    lowered = given(ann, challenge(), log("a", 60), challenge(completionTargetValue=50))
    lowered.when(log("b", 1, status="draft")).then(recorded(progress(60)))
    lowered.when(log("c", 1)).then(recorded(progress(61, "completed")), completed())


def test_a_raised_target_takes_nothing_back() -> None:
    given(ann, challenge(), log("a", 100), challenge(completionTargetValue=500)).when(
        log("b", 1)
    ).then(recorded(progress(101, "completed")))

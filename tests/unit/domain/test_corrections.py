"""Corrections of progress by recalculations (`schemas/README.md#recalculations`)."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from processor.domain.state_kinds import GRANTED, granted_key
from schemas import ids
from schemas.topics import CHUNK_LOG
from tests.correction_spec import (
    AT,
    DAY,
    OTHER_RECALCULATION,
    RECALCULATION,
    correct,
    corrected,
    crossing,
    cut,
    more,
)
from tests.event_spec import clock_to, earned, failed, tick
from tests.points_spec import rolling
from tests.spec import (
    ANN,
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    PROJECT,
    Defined,
    Given,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    completed,
    given,
    granted,
    log,
    milestone,
    numbered,
    progress,
    project_settings,
    reached,
    recorded,
    refused,
)
from tests.tier_spec import tier_set
from tests.void_spec import log_voided, reopened, reversed_, revoked, void_log

PROGRESS_ID = ids.progress_id(PROJECT, CHALLENGE, ANN, DAY)
LATER = "2026-11-21T15:00:00Z"
TOMORROW = "2026-11-22T06:00:00Z"
_CUT = f'"cut":{{"recalculationId":"{RECALCULATION}"}}'


def world(*things: Defined | Sent, **fields: Any) -> Given:
    """Ann, and a challenge that sums up to 100 a day."""
    return given(ann, challenge(**fields), *things)


def entry_id(source: str, source_id: str) -> str:
    return ids.points_entry_id(PROJECT, source, source_id)


# The cut.


def test_a_cut_changes_nothing_and_stands_in_the_chunk_log() -> None:
    happened = world(log(value=60)).when(cut()).then_nothing_happened()
    (chunk,) = happened.outputs(CHUNK_LOG)
    assert b'{"topic":"ticks","first":0,"last":0}' in chunk.value


def test_a_cut_does_nothing_that_is_due() -> None:
    day_before = log(value=60, activityAt="2026-11-20T10:00:00Z")
    happened = world(day_before).when(cut(at=TOMORROW)).then_nothing_happened()
    happened.and_when(tick(TOMORROW)).then(failed(periodKey="2026-11-20"))


def test_a_cut_moves_no_clock_on() -> None:
    given(project_settings(clock="manual"), ann).when(cut()).then_nothing_happened()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (f"{{{_CUT}}}", "project"),
        ('{"project":"acme","cut":{"recalculationId":"7"}}', "cut.recalculationId"),
        ('{"project":"acme","cut":{}}', "cut.recalculationId"),
        (f'{{"project":"A b",{_CUT}}}', "project"),
        (f'{{"project":"acme","now":"2026-11-21T00:00:00Z",{_CUT}}}', "now"),
    ],
)
def test_a_bad_cut_is_refused_with_its_field(value: str, field: str) -> None:
    record = Sent("ticks", value.encode(), headers=())
    given().when(record).then(refused("invalid", field))


# What a correction must say.


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recalculationId": "7"}, "recalculationId"),
        ({"challengeId": "7"}, "challengeId"),
        ({"periodKey": ""}, "periodKey"),
        ({"periodKey": "2026-W47"}, "periodKey"),
        ({"periodKey": "2026-11-31"}, "periodKey"),
        ({"periodKey": "2026-11-1"}, "periodKey"),
        ({"difference": Raw(b'"1"')}, "difference"),
        ({"difference": Raw(b"null")}, "difference"),
        ({"difference": Raw(b"1e3")}, "difference"),
        ({"difference": Raw(b"0.0000000001")}, "difference"),
        ({"difference": Raw(b"1" + b"0" * 40)}, "difference"),
        ({"completedAt": "2026-11-21T10:00:00"}, "completedAt"),
        ({"completedAt": "2026-11-22T12:00:01Z"}, "completedAt"),
        ({"completedAt": AT, "reopens": True, "exact": True}, "reopens"),
        ({"reopens": True}, "reopens"),
        ({"apart": Raw(b"null")}, "apart"),
        ({"startedAt": "2026-11-22T12:00:01Z"}, "startedAt"),
        ({"reached": [crossing(1, at="2026-11-22T12:00:01Z")]}, "reached.at"),
        ({"reached": [crossing(1, "7")]}, "reached.milestoneId"),
        ({"reached": [crossing(Raw(b"true"))]}, "reached.value"),
        ({"reached": [crossing(1), crossing(2)]}, "reached"),
        ({"points": [more(0)]}, "points[0].points"),
        ({"points": [more(10**12 + 1)]}, "points[0].points"),
        ({"points": [more(1, "7")]}, "points.milestoneId"),
        ({"points": [more(1), more(2)]}, "points"),
        ({"points": [more(1, at="2026-11-22T12:00:01Z")]}, "points.at"),
        ({"uniqueIdentifier": ""}, "uniqueIdentifier"),
    ],
)  # fmt: skip
def test_a_bad_correction_is_refused_with_its_field(fields: dict[str, Any], field: str) -> None:
    world().when(correct(**fields)).then(refused("invalid", field))


def test_a_correction_is_of_a_member_and_a_challenge_that_are_known() -> None:
    given(challenge()).when(correct()).then(refused("unknown_member", "userId"))
    given(ann).when(correct()).then(refused("unknown_challenge", "challengeId"))


# The value.


def test_a_progress_goes_up_by_the_difference() -> None:
    happened = world(log(value=60)).when(correct(Decimal("7.5")))
    happened.then(
        corrected(
            60,
            Decimal("67.5"),
            difference=Decimal("7.5"),
            recalculationId=RECALCULATION,
            uniqueIdentifier=f"{RECALCULATION}:{CHALLENGE}:{DAY}",
            correctedAt="2026-11-21T12:00:00Z",
        )
    ).answering((200, {"before": 60, "after": Decimal("67.5"), "completed": False, "rewards": 0}))
    happened.and_when(log("more", 1)).then(recorded(progress(Decimal("68.5"))))


def test_a_progress_begins_with_its_correction() -> None:
    happened = world().when(correct(60, startedAt=AT))
    happened.then(
        corrected(
            None,
            60,
            now={
                "id": PROGRESS_ID,
                "currentProgressValue": 60,
                "challengeStartedAt": AT,
                "createdAt": "2026-11-21T12:00:00Z",
            },
        )
    )
    happened.and_when(log(value=40)).then(recorded(progress(100, "completed")), completed())


def test_what_was_folded_since_the_cut_is_kept() -> None:
    happened = world(log(value=60), cut(), log("since", 30)).when(correct(5))
    happened.then(corrected(90, 95))


def test_the_exact_sum_goes_below_what_is_shown() -> None:
    happened = (
        world(log(value=60)).when(correct(-80, exact=True)).then(corrected(60, 0, difference=-80))
    )
    happened.and_when(log("more", 30)).then(recorded(progress(10)))


def test_a_sum_may_have_more_digits_than_an_amount() -> None:
    largest = 10**20 - 1
    happened = world(log("a", largest), log("b", largest)).when(correct(-2 * largest, exact=True))
    happened.then(corrected(2 * largest, 0, "completed"))


def test_a_correction_counts_once() -> None:
    first = world(log(value=60)).when(correct(7))
    again = first.and_when(log("more", 1), correct(8)).then(recorded(progress(68)))
    again.answering((201, {}), first.answers[0])
    assert again.counts["duplicates"] == 1
    again.and_when(correct(1, OTHER_RECALCULATION)).then(corrected(68, 69))


def test_a_correction_acts_whoever_lives_by_now() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    world(log(value=60), paused).when(correct(40, completedAt=AT)).then(
        corrected(60, 100, "completed"), completed(challengeCompletedAt=AT)
    )
    deleted = command("delete-member", userId="ann")
    world(milestone(80), log(value=60), deleted).when(correct(40, reached=[crossing(80)])).then(
        corrected(60, 100), reached(), granted()
    )
    world(log(value=60)).and_given(challenge(status="paused")).when(correct(40)).then(
        corrected(60, 100)
    )


# Completed, reached, given.


def test_what_a_recalculation_completed_is_completed_then() -> None:
    happened = world(log(value=60), pointsOnCompletion=50).when(correct(40, completedAt=AT))
    happened.then(
        corrected(60, 100, "completed"),
        completed(challengeCompletedAt=AT, currentProgressValue=100),
        earned(50, actionId=f"challenge:{CHALLENGE}", occurredAt=AT),
    ).answering((200, {"completed": True}))
    assert happened.of("points.granted")[0]["id"] == entry_id("challenge", PROGRESS_ID)
    happened.and_when(log("more", 1)).then(recorded(progress(101, "completed")))


def test_completed_stays_completed_though_the_sum_fell_since() -> None:
    world(log(value=60), log("refund", -30)).when(correct(40, completedAt=AT)).then(
        corrected(30, 70, "completed"), completed()
    )


def test_what_was_given_meanwhile_is_not_given_again() -> None:
    world(milestone(50), log(value=100), pointsOnCompletion=50).when(
        correct(5, completedAt=AT, reached=[crossing(50)])
    ).then(corrected(100, 105, "completed", now={"challengeCompletedAt": "2026-11-21T10:00:00Z"}))


def test_milestones_are_reached_when_and_with_what_the_recalculation_says() -> None:
    happened = world(milestone(50, points=5), log(value=20)).when(
        correct(40, reached=[crossing(55)])
    )
    happened.then(
        corrected(20, 60),
        reached(reachedAt=AT, value=55),
        granted(linkedSchemaRecordId=CHALLENGE, createdAt="2026-11-21T12:00:00Z"),
        earned(5, occurredAt=AT),
    ).answering((200, {"rewards": 1}))
    happened.and_when(log("more", 10)).then(recorded(progress(70)))


def test_milestones_of_a_peak_are_reached() -> None:
    world(milestone(50), log(value=20)).when(correct(0, reached=[crossing(55)])).then(
        corrected(20, 20), reached(value=55), granted()
    )


def test_what_live_logs_reach_on_top_is_reached_by_the_correction() -> None:
    upper = numbered(12)
    happened = world(milestone(50), milestone(80, upper), log(value=20), cut(), log("since", 20))
    happened.when(correct(60, reached=[crossing(70)])).then(
        corrected(40, 100, "completed"),
        completed(challengeCompletedAt="2026-11-21T12:00:00Z"),
        reached(value=70, reachedAt=AT),
        reached(upper, value=100, reachedAt="2026-11-21T12:00:00Z"),
        granted(),
        granted(upper),
    )


def test_paused_milestones_are_given_where_they_were_reached_and_not_on_top() -> None:
    upper = numbered(12)
    paused = (milestone(50, status="paused"), milestone(80, upper, status="paused"))
    world(*paused, log(value=20)).when(correct(70, reached=[crossing(70)])).then(
        corrected(20, 90), reached(), granted()
    )


def test_milestones_that_are_gone_or_another_challenges_are_passed_over() -> None:
    elsewhere = milestone(50, linkedSchemaRecordId=OTHER_CHALLENGE)
    world(challenge(OTHER_CHALLENGE), elsewhere, log(value=20)).when(
        correct(40, reached=[crossing(50), crossing(50, numbered(12))])
    ).then(corrected(20, 60))


def test_a_failed_progress_is_completed() -> None:
    lived = world(log(value=60), tick(TOMORROW))
    lived.when(correct(40, completedAt=AT).arriving(TOMORROW)).then(
        corrected(60, 100, "completed", now={"challengeFailedAt": None}), completed()
    )


def test_a_progress_that_begins_when_its_period_is_over_fails() -> None:
    happened = world().when(correct(60, startedAt=AT).arriving(TOMORROW))
    happened.then(corrected(None, 60)).and_when(tick(TOMORROW)).then(
        failed(challengeFailedAt="2026-11-22T00:00:00Z")
    )


def test_a_failed_progress_goes_on_where_its_end_was_moved() -> None:
    ended = world(log(value=60), endsAt="2026-11-21T11:00:00Z").and_given(
        tick("2026-11-21T11:30:00Z")
    )
    ended.and_given(challenge(endsAt="2026-11-21T20:00:00Z")).when(correct(1)).then(
        corrected(60, 61, now={"challengeFailedAt": None})
    ).and_when(tick("2026-11-21T20:00:00Z")).then(failed())


# Method, period and zone.


def test_method_and_zone_are_the_challenges() -> None:
    lived = world(log(value=60))
    lived.and_given(challenge(aggregationMethod="count", timezone="Europe/Berlin"))
    happened = lived.when(correct(-59, exact=True, apart=0))
    happened.then(
        corrected(
            60,
            1,
            now={
                "aggregationMethod": "count",
                "aggregationPeriod": "daily",
                "timezone": "Europe/Berlin",
                "currentProgressValue": 1,
            },
        )
    ).and_when(log("more", 60)).then(recorded(progress(2)))
    happened.and_when(tick("2026-11-21T22:59:59Z")).then()
    happened.and_when(tick("2026-11-21T23:00:00Z")).then(
        failed(challengeFailedAt="2026-11-21T23:00:00Z")
    )


def test_the_zone_is_the_members_where_the_challenge_goes_by_it() -> None:
    there = command("upsert-member", externalId="ann", timezone="Asia/Tokyo")
    world(there, timezone="member").when(correct(1)).then(
        corrected(None, 1, now={"timezone": "Asia/Tokyo"})
    )


def test_a_period_of_another_kind_keeps_its_own() -> None:
    lived = world(log(value=60)).and_given(challenge(aggregationPeriod="weekly"))
    lived.when(correct(1)).then(corrected(60, 61, now={"aggregationPeriod": "daily"}))
    lived.when(correct(61, period_key="2026-W47")).then(
        corrected(None, 61, now={"aggregationPeriod": "weekly"})
    )


@pytest.mark.parametrize(
    ("before", "after", "difference", "value"),
    [("sum", "count", 3 - 71, 4), ("count", "sum", 71 - 3, Decimal("123.5"))],
)
def test_what_came_since_the_cut_counts_by_the_new_method(
    before: str, after: str, difference: int, value: Any
) -> None:
    """Three logs before the cut, of which one is voided since; and two since, of which one is
    voided by half."""
    lived = world(log("a", 30), log("b", 30), log("c", 11), aggregationMethod=before)
    lived.and_given(challenge(aggregationMethod=after), cut(), log("since", 60), log("half", 7))
    lived.and_given(void_log("half", portion=Decimal("0.5")), void_log("c", "void-2"))
    (fact, *_) = lived.when(correct(difference, exact=True, apart=0)).facts
    assert fact.data["after"]["currentProgressValue"] == value


def test_what_was_apart_at_the_cut_is_in_the_difference() -> None:
    lived = world(log("a", 30)).and_given(challenge(aggregationMethod="count"))
    lived.and_given(log("b", 30), cut(), log("c", 30))
    lived.when(correct(2 - 60, exact=True, apart=1 - 30)).then(corrected(90, 3))


def test_a_correction_that_is_not_exact_lowers_nothing() -> None:
    lived = world(log("a", 30)).and_given(challenge(aggregationMethod="count"), log("b", 30))
    lived.when(correct(2, apart=0)).then(corrected(60, 60, now={"aggregationMethod": "count"}))
    lived.when(correct(-7, OTHER_RECALCULATION)).then(corrected(60, 60))


# Less.


def test_a_completed_challenge_that_falls_short_is_open_again_and_keeps_what_it_gave() -> None:
    lived = world(milestone(50), log(value=100), pointsOnCompletion=50)
    happened = lived.when(correct(-70, exact=True, reopens=True))
    happened.then(corrected(100, 30), reopened(currentProgressValue=30))
    again = happened.and_when(log("more", 70))
    again.then(recorded(progress(100, "completed")), completed())


def test_one_whose_period_is_over_failed() -> None:
    world(log(value=100)).when(correct(-70, exact=True, reopens=True).arriving(TOMORROW)).then(
        corrected(100, 30, "failed"),
        reopened("failed", challengeFailedAt="2026-11-22T00:00:00Z"),
    )


def test_without_that_word_completed_stays_completed() -> None:
    lived = world(log(value=100)).and_given(challenge(completionTargetValue=200))
    lived.when(correct(0)).then(corrected(100, 100, "completed"))
    lived.when(correct(0, OTHER_RECALCULATION, exact=True, reopens=True)).then(
        corrected(100, 100), reopened()
    )


def test_a_challenge_that_live_logs_completed_since_stays_completed() -> None:
    world(log(value=100), cut(), log("since", 80)).when(
        correct(-70, exact=True, reopens=True)
    ).then(corrected(180, 110, "completed"))


# More points.


def test_a_completion_that_gave_fewer_points_gives_more() -> None:
    lived = world(log(value=100), pointsOnCompletion=50).and_given(challenge(pointsOnCompletion=80))
    happened = lived.when(correct(0, completedAt=AT, points=[more(30)]))
    happened.then(
        corrected(100, 100, "completed"),
        earned(30, balance=80, occurredAt=AT, sourceId=PROGRESS_ID),
    ).answering((200, {"morePoints": 30}))
    (entry,) = happened.of("points.granted")
    assert entry["id"] == entry_id("challenge", f"{PROGRESS_ID}:{RECALCULATION}")
    second = happened.and_when(correct(0, OTHER_RECALCULATION, points=[more(5)]))
    assert second.of("points.granted")[0]["id"] != entry["id"]


def test_a_milestone_that_gave_none_gives_some_and_all_is_taken_back_together() -> None:
    reward = ids.reward_log_id(PROJECT, MILESTONE, ANN, DAY)
    lived = world(milestone(50), log(value=60)).and_given(milestone(50, points=7))
    happened = lived.when(correct(0, points=[more(7, MILESTONE)]))
    happened.then(corrected(60, 60), earned(7, actionId=f"milestone:{MILESTONE}", sourceId=reward))
    happened.and_when(void_log(rewards="revoke")).then(log_voided(), revoked(), reversed_(-7))


def test_more_points_are_taken_back_with_the_first_ones() -> None:
    lived = world(milestone(50, points=3), log(value=60))
    happened = lived.when(correct(0, points=[more(4, MILESTONE)]))
    voided = happened.and_when(void_log(rewards="revoke"))
    voided.then(log_voided(), revoked(), reversed_(-7, balance=0))
    voided.and_when(correct(0, OTHER_RECALCULATION, points=[more(1, MILESTONE)])).then(
        corrected(0, 0)
    )


def test_more_points_lie_in_the_wallet_as_the_first_ones() -> None:
    lived = world(rolling(), milestone(50, points=3), log(value=60))
    happened = lived.when(correct(0, points=[more(4, MILESTONE)]))
    happened.then(corrected(60, 60), earned(4, lots=[{"points": 7}]))
    key = granted_key(entry_id("milestone", ids.reward_log_id(PROJECT, MILESTONE, ANN, DAY)))
    assert GRANTED.decode(happened.partition.entries[key]).points == 7


# Beside other things.


def test_tiers_by_progress_are_judged_by_corrections() -> None:
    basis = {"type": "progress", "challengeId": CHALLENGE}
    lived = world(tier_set(0, 80, basis=basis), log(value=60))
    assert [fact.type for fact in lived.when(correct(30)).facts] == [
        "challenge_progress.corrected",
        "tier.changed",
    ]


def test_corrections_of_a_member_on_a_test_clock_go_by_it() -> None:
    lived = given(project_settings(clock="manual"), ann, challenge(), clock_to("2026-12-01"))
    lived.when(correct(100, period_key="2026-12-01")).then(
        corrected(None, 100, "completed", now={"challengeCompletedAt": "2026-12-01T00:00:00Z"}),
        completed(),
    )


def test_a_correction_lies_at_home_wherever_it_was_sent() -> None:
    partition = Partition(number=0, partitions=4)
    partition.define(challenge())
    away = Partition(number=1, partitions=4)
    moved = [p.fold(correct(1)).counts["forwarded"] for p in (partition, away)]
    assert max(moved) == 1

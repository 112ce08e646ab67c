"""A log is known by challenge, member and identifier; again, it is answered, not counted."""

import pytest

from schemas import ids
from tests.spec import (
    ANN,
    BEN,
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    Defined,
    Sent,
    ann,
    ben,
    challenge,
    command,
    given,
    granted,
    log,
    milestone,
    numbered,
    progress,
    reached,
    recorded,
    upsert,
)

REWARD = ids.reward_log_id("default", MILESTONE, ANN, "2026-11-21")


def test_a_duplicate_with_other_content_gets_the_first_answer_and_changes_nothing() -> None:
    first = given(ann, challenge(), milestone(50)).when(log("a", 60))
    (_, answer) = first.answers[0]
    other = log(
        "a", 99, activityAt="2026-11-19T10:00:00Z", activityId="visit", status="paused"
    ).arriving("2026-11-21T15:00:00Z")
    again = first.and_when(other)
    again.then_nothing_happened()
    assert again.counts["duplicates"] == 1
    [(status, body)] = again.answers
    assert (status, body["code"]) == (409, "duplicate")
    assert body["errors"][0]["field"] == "uniqueIdentifier"
    assert body["record"] == answer


def test_the_first_answer_shows_progress_and_rewards_as_they_were_after_that_log() -> None:
    world = given(ann, challenge(), milestone(50), milestone(150, numbered(12)))
    first = world.when(log("a", 60, activityAt="2026-11-21T09:00:00Z")).answers[0][1]
    world.when(log("b", 100, activityAt="2026-11-21T08:00:00Z").arriving("2026-11-21T13:00:00Z"))
    again = world.when(log("a", 60)).answers[0][1]
    assert again["record"] == first
    assert again["record"]["challengeProgress"]["currentProgressValue"] == 60


def test_the_first_answer_of_a_log_that_did_not_count_has_the_progress_it_left() -> None:
    world = given(ann, challenge(), log("a", 10))
    first = world.when(log("b", 5, status="draft")).answers[0][1]
    world.when(log("c", 7))
    assert world.when(log("b", 5)).answers[0][1]["record"] == first


def test_the_first_answer_without_progress_stays_without() -> None:
    world = given(ann, challenge(status="paused"), log("a", 10), challenge(), log("b", 10))
    world.when(log("a", 10)).answering((409, {"record": {"challengeProgress": None}}))


def test_a_coupon_written_since_is_not_in_the_first_answer() -> None:
    world = given(ann, challenge(), milestone(50))
    first = world.when(log("a", 60)).answers[0][1]
    patched = command("update-reward-log", rewardLogId=REWARD, userId="ann", couponCode="SAVE10")
    again = world.and_given(patched).when(log("a", 60).arriving("2026-11-21T13:00:00Z"))
    assert again.answers[0][1]["record"] == first


def test_joined_definitions_are_shown_as_they_are_now() -> None:
    world = given(ann, challenge(), milestone(50), log("a", 60))
    world.and_given(challenge(name="Spend more"), milestone(70, name="Now at 70"))
    now = {"id": MILESTONE, "name": "Now at 70", "milestoneTargetValue": 70}
    world.when(log("a", 60)).answering(
        (
            409,
            {
                "record": {
                    "challenge": {"id": CHALLENGE, "name": "Spend more"},
                    "achievedMilestone": now,
                    "achievedMilestones": [now],
                    "achievedMilestoneRewardLog": {"milestoneId": MILESTONE, "milestone": now},
                    **progress(60),
                }
            },
        )
    )


def test_a_milestone_deleted_since_is_null_where_it_is_joined_and_its_reward_stays() -> None:
    world = given(ann, challenge(), milestone(50), log("a", 60), milestone(50).deleted())
    world.when(log("a", 60)).answering(
        (
            409,
            {
                "record": {
                    "achievedMilestone": None,
                    "achievedMilestoneRewardLog": {"milestoneId": MILESTONE, "milestone": None},
                }
            },
        )
    )


def test_the_highest_milestone_deleted_since_does_not_make_the_next_one_the_achieved() -> None:
    high = milestone(60, numbered(12))
    world = given(ann, challenge(), milestone(50), high, log("a", 60), high.deleted())
    world.when(log("a", 60)).answering(
        (
            409,
            {
                "record": {
                    "achievedMilestone": None,
                    "achievedMilestoneRewardLog": {"milestoneId": numbered(12)},
                }
            },
        )
    )


@pytest.mark.parametrize(
    "since",
    [
        challenge(status="paused"),
        challenge(status="draft"),
        challenge(activityIds=[]),
        challenge(aggregationMethod="count", aggregationPeriod="weekly"),
        command("delete-member", userId="ann"),
        command("update-member-status", userId="ann", status="paused"),
    ],
)
def test_it_is_a_duplicate_whatever_happened_since(since: Defined | Sent) -> None:
    world = given(ann, challenge(), milestone(50), log("a", 60), since)
    again = world.when(log("a", 60))
    again.then_nothing_happened()
    again.answering((409, {"record": {**progress(60), "achievedMilestone": {"id": MILESTONE}}}))


def test_a_log_without_a_value_is_a_duplicate_too_where_the_challenge_sums_by_now() -> None:
    world = given(
        ann,
        challenge(aggregationMethod="count"),
        log("a"),
        challenge(aggregationPeriod="weekly"),
    )
    world.when(log("a")).answering((409, {"record": progress(1)}))


def test_a_duplicate_does_not_touch_its_inline_member() -> None:
    world = given(ann, challenge(), log("a", 60))
    world.when(log("a", 60, ownedBy={"externalId": "ann", "city": "Bonn"})).then_nothing_happened()


def test_a_duplicate_does_not_revive_its_deleted_member() -> None:
    world = given(ann, challenge(), log("a", 60), command("delete-member", userId="ann"))
    world.when(log("a", 60, ownedBy={"externalId": "ann"})).then_nothing_happened()


def test_a_duplicate_within_one_chunk_is_found() -> None:
    given(ann, challenge(), milestone(50)).when(log("a", 60), log("a", 60)).then(
        recorded(progress(60)), reached(), granted()
    ).answering((201, {}), (409, {"record": progress(60)}))


def test_the_same_identifier_on_another_challenge_is_no_duplicate() -> None:
    given(ann, challenge(), challenge(OTHER_CHALLENGE), log("a", 60)).when(
        log("a", 60, challengeId=OTHER_CHALLENGE)
    ).then(recorded(progress(60)))


def test_the_same_identifier_of_another_member_is_no_duplicate() -> None:
    given(ann, ben, challenge(), log("a", 60)).when(log("a", 60, ownedById=BEN)).then(
        recorded(progress(60))
    )


def test_the_same_identifier_in_another_project_is_no_duplicate() -> None:
    given(ann, upsert(project="acme"), challenge(), challenge(project="acme"), log("a", 60)).when(
        log("a", 60, project="acme", ownedBy={"externalId": "ann"})
    ).then(recorded(progress(60)))


def test_the_same_identifier_in_another_period_is_a_duplicate() -> None:
    world = given(ann, challenge(), log("a", 60))
    world.when(log("a", 60, activityAt="2026-11-01T10:00:00Z")).answering((409, {}))


def test_the_same_activity_id_is_no_duplicate() -> None:
    given(ann, challenge(), log("a", 60, activityId="x")).when(log("b", 1, activityId="x")).then(
        recorded(progress(61))
    )


def test_a_challenge_id_in_capitals_names_the_same_challenge() -> None:
    lower = numbered(1).replace("0", "a")
    world = given(ann, challenge(lower), log("a", 60, challengeId=lower))
    world.when(log("a", 60, challengeId=lower.upper())).answering((409, {}))

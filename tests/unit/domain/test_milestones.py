"""Milestones and their rewards (`schemas/README.md#milestones-and-rewards`)."""

from decimal import Decimal

import pytest

from schemas import ids
from tests.spec import (
    ANN,
    BEN,
    CHALLENGE,
    MILESTONE,
    OTHER_CHALLENGE,
    PROJECT,
    ann,
    ben,
    challenge,
    completed,
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

LOW, MIDDLE, HIGH = numbered(21), numbered(22), numbered(23)
three = (milestone(30, HIGH), milestone(10, LOW), milestone(20, MIDDLE))


def test_a_milestone_is_reached_when_progress_gets_to_its_target() -> None:
    given(ann, challenge(), milestone(50)).when(
        log("a", Decimal("49.999999999")), log("b", Decimal("0.000000001"))
    ).then(
        recorded(
            achievedMilestone=None,
            achievedMilestoneRewardLog=None,
            achievedMilestones=[],
            achievedMilestoneRewardLogs=[],
            nextMilestone={"id": MILESTONE, "milestoneTargetValue": 50},
        ),
        recorded(
            achievedMilestone={"id": MILESTONE},
            achievedMilestoneRewardLog={"milestoneId": MILESTONE},
            nextMilestone=None,
        ),
        reached(
            id=ids.milestone_reached_id(PROJECT, MILESTONE, ANN, "2026-11-21"),
            ownedById=ANN,
            value=50,
            reachedAt="2026-11-21T10:00:00Z",
            linkedSchemaSlug="challenge",
            linkedSchemaRecordId=CHALLENGE,
            periodKey="2026-11-21",
            milestone={"id": MILESTONE, "name": "At 50"},
        ),
        granted(
            id=ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21"),
            ownedById=ANN,
            linkedSchemaSlug="challenge",
            linkedSchemaRecordId=CHALLENGE,
            couponCode=None,
            rewardIssuedAt=None,
            rewardExpiryAt=None,
            version=1,
            periodKey="2026-11-21",
            createdAt="2026-11-21T12:00:00Z",
        ),
    )


def test_a_log_that_crosses_several_milestones_gives_a_reward_for_each() -> None:
    given(ann, challenge(), *three).when(log("a", 25)).then(
        recorded(
            achievedMilestone={"id": MIDDLE},
            achievedMilestoneRewardLog={"milestoneId": MIDDLE},
            achievedMilestones=[{"id": LOW}, {"id": MIDDLE}],
            achievedMilestoneRewardLogs=[{"milestoneId": LOW}, {"milestoneId": MIDDLE}],
            nextMilestone={"id": HIGH},
        ),
        reached(LOW),
        reached(MIDDLE),
        granted(LOW),
        granted(MIDDLE),
    )


def test_a_milestone_beyond_completion_is_reached_when_counting_goes_on() -> None:
    given(ann, challenge(), milestone(150), log("a", 100)).when(log("b", 50)).then(
        recorded(progress(150, "completed")), reached(), granted()
    )


def test_milestone_and_completion_may_come_with_one_log() -> None:
    given(ann, challenge(), milestone(100)).when(log("a", 100)).then(
        recorded(progress(100, "completed")), completed(), reached(), granted()
    )


def test_what_was_reached_stays_reached_and_is_given_once() -> None:
    given(ann, challenge(), milestone(50), log("a", 60)).when(log("b", -40), log("c", 40)).then(
        recorded(progress(20), nextMilestone=None, achievedMilestone=None),
        recorded(progress(60), nextMilestone=None, achievedMilestone=None),
    )


def test_a_milestone_is_reached_again_in_the_next_period() -> None:
    given(ann, challenge(), milestone(50), log("a", 60)).when(
        log("b", 60, activityAt="2026-11-20T10:00:00Z")
    ).then(
        recorded(progress(60)),
        reached(periodKey="2026-11-20"),
        granted(periodKey="2026-11-20"),
    )


def test_each_member_reaches_a_milestone() -> None:
    given(ann, ben, challenge(), milestone(50), log("a", 60)).when(
        log("a", 60, ownedById=BEN)
    ).then(recorded(progress(60)), reached(ownedById=BEN), granted(ownedById=BEN))


def test_a_milestone_added_later_is_looked_at_with_the_next_counted_log() -> None:
    later = given(ann, challenge(), log("a", 60), milestone(50))
    later.when(log("b", 1, status="paused")).then(
        recorded(progress(60), nextMilestone={"id": MILESTONE})
    )
    later.when(log("c", 1)).then(recorded(progress(61)), reached(value=61), granted())


def test_even_a_correction_that_leaves_enough_reaches_a_milestone_added_later() -> None:
    given(ann, challenge(), log("a", 60), milestone(50)).when(log("b", -10)).then(
        recorded(progress(50)), reached(), granted()
    )


def test_a_lowered_target_is_looked_at_with_the_next_counted_log_of_its_period() -> None:
    lowered = given(ann, challenge(), milestone(90), log("a", 60), milestone(50))
    lowered.when(log("b", 1, activityAt="2026-11-20T10:00:00Z")).then(recorded(progress(1)))
    lowered.when(log("c", 1)).then(recorded(progress(61)), reached(), granted())


def test_a_raised_target_takes_nothing_back() -> None:
    given(ann, challenge(), milestone(50), log("a", 60), milestone(90)).when(log("b", 40)).then(
        recorded(progress(100, "completed"), nextMilestone=None), completed()
    )


@pytest.mark.parametrize("status", ["paused", "draft"])
def test_a_milestone_that_is_not_live_is_not_reached_and_not_next(status: str) -> None:
    idle = given(ann, challenge(), milestone(50, status=status))
    idle.when(log("a", 60)).then(recorded(progress(60), nextMilestone=None))
    idle.and_given(milestone(50)).when(log("b", 1)).then(recorded(), reached(value=61), granted())


def test_a_deleted_milestone_is_not_reached() -> None:
    given(ann, challenge(), milestone(50), milestone(50).deleted()).when(log("a", 60)).then(
        recorded(nextMilestone=None)
    )


def test_a_log_that_does_not_count_reaches_nothing() -> None:
    given(ann, challenge(), milestone(50), log("a", 60, status="paused")).when(
        log("b", 60, status="draft")
    ).then(recorded(challengeProgress=None, nextMilestone={"id": MILESTONE}))


def test_a_milestone_of_a_streak_with_the_same_id_is_no_milestone_of_the_challenge() -> None:
    given(ann, challenge(), milestone(50, linkedSchemaSlug="streak")).when(log("a", 60)).then(
        recorded(progress(60), nextMilestone=None)
    )


def test_a_milestone_that_moves_to_another_challenge_is_rewarded_once_a_period() -> None:
    moved = milestone(50, linkedSchemaRecordId=OTHER_CHALLENGE)
    given(ann, challenge(), challenge(OTHER_CHALLENGE), milestone(50), log("a", 60), moved).when(
        log("a", 60, challengeId=OTHER_CHALLENGE)
    ).then(recorded(progress(60), achievedMilestone=None))


def test_equal_targets_are_reached_together() -> None:
    given(ann, challenge(), milestone(50, HIGH), milestone(50, LOW)).when(log("a", 50)).then(
        recorded(achievedMilestone={"id": HIGH}),
        reached(LOW), reached(HIGH), granted(LOW), granted(HIGH),
    )  # fmt: skip


def test_a_milestone_may_be_defined_before_its_challenge() -> None:
    given(ann, milestone(50), challenge()).when(log("a", 50)).then(recorded(), reached(), granted())


def test_a_milestone_of_another_project_is_not_reached() -> None:
    elsewhere = challenge(project="acme")
    owner = {"externalId": "ann"}
    given(upsert(project="acme"), elsewhere, challenge(), milestone(50)).when(
        log("a", 60, project="acme", ownedBy=owner)
    ).then(recorded(progress(60), nextMilestone=None))

"""Voids of activity logs: what is left is as if the log had never been sent."""

from typing import Any

import pytest

from processor.domain.aggregates import activity_history as history_of
from processor.domain.state_kinds import ACTIVITY_HISTORY, ACTIVITY_RECENT
from tests.pathway_spec import (
    DAY,
    PATHWAY,
    activity,
    completed,
    did,
    enrolled,
    measuring,
    on,
    pathway,
    pathway_command,
    progressed,
    shown,
)
from tests.spec import (
    MILESTONE,
    Fact,
    Given,
    ann,
    challenge,
    command,
    given,
    granted,
    log,
    milestone,
    reached,
    refused,
)
from tests.void_spec import void_activity


def reverted(progress: float, **fields: Any) -> Fact:
    """``activity.reverted``."""
    return Fact("activity.reverted", {"progress": progress, **fields})


first = milestone(1, linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY, points=5)


def test_an_activity_is_in_progress_again_where_no_log_completes_it() -> None:
    world = on(activity("a")).and_given(did("1"), did("2"))
    world.when(void_activity("1")).then(
        reverted(
            100,
            state="completed",
            completedRequired=1,
            uniqueIdentifier="void-1",
            reason="sent back",
        )
    )
    happened = world.when(void_activity("2"))
    happened.then(
        reverted(0, state="in progress", complete=False, completedAt=None, completedRequired=0)
    )
    (answer,) = happened.answers
    assert answer[0] == 200
    assert (answer[1]["voided"]["what"], answer[1]["voided"]["portion"]) == ("activity_log", 1)
    world.when(did("3")).then(completed(progress=100))


@pytest.mark.parametrize(
    ("formula", "voided", "current", "state"),
    [
        ("sum", "2", 40, "in progress"),
        ("sum", "1", 70, "in progress"),
        ("average", "2", 20, "in progress"),
        ("max", "2", 30, "in progress"),
        ("max", "1", 60, "in progress"),
        ("latest", "2", 10, "in progress"),
        ("latest", "3", 60, "in progress"),
    ],
)
def test_what_is_measured_goes_back(formula: str, voided: str, current: int, state: str) -> None:
    world = on(measuring(formula)).and_given(
        did("1", value=30),
        did("2", "2026-11-20T12:00:00Z", value=60),
        did("3", "2026-11-20T11:00:00Z", value=10),
    )
    world.when(void_activity(voided)).then(
        reverted(current, state=state, **shown(data={"current": current}))
    )


def test_a_negative_value_that_is_voided_completes_as_a_log_would() -> None:
    world = on(measuring("sum")).and_given(
        first, did("1", value=60), did("2", value=-30), did("3", value=50)
    )
    world.when(void_activity("2")).then(
        reverted(100, state="completed"),
        completed(**shown(data={"current": 110})),
        reached(value=1),
        granted(),
        Fact("points.granted", {"points": 5}),
    )


def test_the_best_score_goes_back_to_the_next() -> None:
    world = on(activity("a", "story", "complete", passScore=50))
    world.and_given(did("1", score=40, progress=30), did("2", score=80))
    world.when(void_activity("2")).then(
        reverted(30, state="in progress", **shown(story={"ID": "a", "name": "A", "score": 40}))
    )


def test_an_upload_goes_back_with_its_approval() -> None:
    approve = pathway_command("review-activity", activityId="a", approved=True)
    world = on(activity("a", "confirmation", "upload & review"))
    world.and_given(did("1", upload={"url": "one"}), approve, did("2", upload={"url": "two"}))
    world.when(void_activity("2")).then(
        reverted(100, state="completed", **shown(upload={"url": "one"}))
    )
    world.when(void_activity("1")).then(reverted(0, state="in progress"))
    world.when(approve).then(refused("invalid", "activityId"))


def test_reached_milestones_stay_unless_they_are_revoked() -> None:
    world = on(activity("a")).and_given(first, did("1"))
    world.when(void_activity("1")).then(reverted(0))
    world.when(did("2")).then(completed())


def test_milestones_are_revoked_and_given_again() -> None:
    world = on(activity("a")).and_given(first, did("1"))
    happened = world.when(void_activity("1", rewards="revoke"))
    assert {fact.type for fact in happened.facts} == {
        "activity.reverted",
        "reward.revoked",
        "points.reversed",
    }
    (answer,) = happened.answers
    assert [each["milestoneId"] for each in answer[1]["revoked"]] == [MILESTONE]
    again = world.when(did("2"))
    assert [reward["version"] for reward in again.of("reward.granted")] == [3]
    assert [entry["points"] for entry in again.of("points.granted")] == [5]


def test_only_a_log_that_is_known_and_not_voided_can_be_voided() -> None:
    world = on(activity("a"), activity("b")).and_given(did("1"), did("2"))
    world.when(void_activity("9")).then(refused("unknown_log"))
    world.when(void_activity("1", id_="b")).then(refused("unknown_log"))
    world.when(void_activity("1", "half", portion=0.5)).then(refused("invalid", "portion"))
    world.and_given(void_activity("1"))
    world.when(void_activity("1", "again")).then(refused("over_voided", "portion"))


def test_a_repeat_of_a_void_gets_the_first_answer() -> None:
    world = on(measuring("sum")).and_given(did("1", value=30), did("2", value=20))
    once = world.when(void_activity("1"))
    again = world.when(void_activity("1"))
    again.then()
    assert again.answers == once.answers


def test_a_voided_log_s_identifier_stays_used() -> None:
    world = on(measuring("sum")).and_given(did("1", value=30), void_activity("1"))
    world.when(did("1", value=30)).then()


def forgetting(world: Given) -> Given:
    """Take away what is kept of logs, as where a version folded them that kept none."""
    entries = world.partition.entries
    kept = (ACTIVITY_RECENT.prefix, ACTIVITY_HISTORY.prefix)
    for key in [key for key in entries if key.startswith(kept)]:
        del entries[key]
    return world


def test_what_was_folded_before_voids_counts_and_cannot_be_voided() -> None:
    world = forgetting(on(measuring("max")).and_given(did("1", value=30), did("2", value=60)))
    world.when(void_activity("1")).then(refused("not_voidable"))
    world.and_given(did("3", value=90))
    world.when(void_activity("2")).then(refused("not_voidable"))
    world.when(void_activity("3")).then(reverted(60, **shown(data={"current": 60})))
    world.when(did("4", value=10)).then(progressed(60))


def test_what_is_done_before_the_enrolment_can_be_voided() -> None:
    world = given(ann, pathway(activity()), did("1"), void_activity("1"))
    world.when(enrolled).then(Fact("member.enrolled", {"pathwayCompleted": False}))


def test_an_unknown_member_and_a_gone_activity() -> None:
    world = on(activity("a")).and_given(did("1"))
    of = {"pathwayId": PATHWAY, "activityId": "a", "uniqueIdentifier": "1"}
    stranger = command(
        "void", what="activity_log", of=of, reason="r", uniqueIdentifier="v", userId="x"
    )
    world.when(stranger).then(refused("unknown_member", "userId"))
    world.and_given(pathway(activity("b")))
    world.when(void_activity("1")).then(refused("unknown_activity", "activityId"))


def test_the_latest_and_the_greatest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("LATEST", "GREATEST", "SLACK"):
        monkeypatch.setattr(history_of, bound, 40)
    logs = [
        did(str(number), f"2026-11-20T10:{number % 60:02d}:{number // 60:02d}Z", value=100 - number)
        for number in range(200)
    ]
    world = on(measuring("sum", 10**6)).and_given(*logs)
    total = sum(100 - number for number in range(200))
    for number in (0, 39, 59):  # great; great; late
        total -= 100 - number
        world.when(void_activity(str(number))).then(
            reverted(max(total * 100 // 10**6, 0), **shown(data={"current": total}))
        )
    world.when(void_activity("100")).then(refused("not_voidable"))


def test_what_is_kept_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_of, "MAX_BYTES", 50_000)
    monkeypatch.setattr(history_of, "SLACK_BYTES", 5_000)
    logs = [did(f"{number}{'é' * 500}", value=1) for number in range(99)]
    world = on(measuring("sum", 1000)).and_given(*logs)
    kept = [
        value
        for key, value in world.partition.entries.items()
        if key.startswith(ACTIVITY_HISTORY.prefix)
    ]
    assert [len(value) < 60_000 for value in kept] == [True]
    world.when(void_activity(f"0{'é' * 500}", "early")).then(refused("not_voidable"))
    world.when(void_activity(f"98{'é' * 500}", "late")).then(
        reverted(9, **shown(data={"current": 98}))
    )


def test_the_day_of_a_log_is_kept() -> None:
    world = on(measuring("sum")).and_given(did("1", value=10), did("2", DAY, value=20))
    world.when(void_activity("2")).then(reverted(10, startedAt=DAY, timestamp=DAY))


def test_a_reward_that_a_challenge_gave_and_reaches_still_is_kept() -> None:
    world = on(activity("a")).and_given(challenge(aggregationPeriod="all_time"), milestone(50))
    world.and_given(log(value=60), first, did("1"))
    world.when(void_activity("1", rewards="revoke")).then(reverted(0)).answering(
        (200, {"revoked": [], "notRevoked": []})
    )
    world.when(did("2")).then(completed())

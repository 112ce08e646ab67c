"""Voids of challenge logs (`schemas/README.md#voids`)."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from processor.domain.state_kinds import GRANTED, LOG, REWARD, log_key, reward_key
from schemas import ids
from tests.event_spec import (
    earned,
    event,
    event_of,
    purchase_of,
    streak_milestone,
    streak_of,
    tick,
    visit,
)
from tests.pathway_spec import PATHWAY, activity, did, on
from tests.points_spec import rolling
from tests.spec import (
    ANN,
    CHALLENGE,
    MILESTONE,
    NOW,
    OTHER_CHALLENGE,
    PROJECT,
    Defined,
    Given,
    Partition,
    Sent,
    ann,
    ben,
    challenge,
    command,
    completed,
    given,
    granted,
    log,
    milestone,
    numbered,
    progress,
    reached,
    recorded,
    refused,
)
from tests.tier_spec import changed, tier_set
from tests.void_spec import (
    log_voided,
    reopened,
    reversed_,
    revoked,
    void,
    void_event,
    void_log,
)

DAY = "2026-11-21"
LATER = "2026-11-21T15:00:00Z"
TEN = "2026-11-21T10:00:00Z"
"""When logs happened."""
TOMORROW = "2026-11-22T06:00:00Z"
HALF, THIRD = Decimal("0.5"), Decimal("0.333333333")
REWARD_LOG = ids.reward_log_id(PROJECT, MILESTONE, ANN, DAY)


def log_id(identifier: str = "log-1", challenge_id: str = CHALLENGE) -> str:
    return ids.challenge_log_id(PROJECT, challenge_id, ANN, identifier)


def world(*things: Defined | Sent, **fields: Any) -> Given:
    """Ann, and a challenge that sums up to 100 a day."""
    return given(ann, challenge(**fields), *things)


def revoking(identifier: str = "log-1", void_identifier: str = "void-1", **fields: Any) -> Sent:
    return void_log(identifier, void_identifier, rewards="revoke", **fields)


# What goes back.


def test_a_voided_log_takes_its_value_back() -> None:
    happened = world(log("log-1", 60), log("log-2", 30)).when(void_log(actor="jo").arriving(LATER))
    happened.then(
        log_voided(
            progress(30, updatedAt=LATER),
            id=log_id(),
            challengeId=CHALLENGE,
            ownedById=ANN,
            activityAt="2026-11-21T10:00:00Z",
            activityId="purchase",
            activityValue=60,
            periodKey=DAY,
            counted=True,
            change=-60,
            portion=1,
            voidedPortion=1,
            uniqueIdentifier="void-1",
            reason="sent back",
            actor="jo",
            voidedAt=LATER,
        )
    )
    happened.answering(
        (
            200,
            {
                "voided": {
                    "what": "challenge_log",
                    "id": log_id(),
                    "userId": "ann",
                    "ownedById": ANN,
                    "portion": 1,
                    "voidedPortion": 1,
                    "uniqueIdentifier": "void-1",
                    "reason": "sent back",
                    "actor": "jo",
                    "voidedAt": LATER,
                },
                "progress": [{"challengeId": CHALLENGE, "currentProgressValue": 30}],
                "points": {"reversed": 0, "notRecovered": 0},
                "revoked": [],
                "notRevoked": [],
            },
        )
    )
    (envelope,) = happened.envelopes
    assert envelope["time"] == LATER
    assert envelope["id"] == ids.event_id(PROJECT, "challenge_log.voided", log_id(), 1)


def test_a_log_is_named_by_its_id_as_well() -> None:
    happened = world(log("log-1", 60)).when(void(id=log_id().upper()))
    happened.then(log_voided(progress(0), id=log_id()))


def test_portions_add_up_and_are_rounded_together() -> None:
    """Three thirds of 0.000000001 are 0, 0 and 0.000000001: together exactly the value."""
    least = Decimal("0.000000001")
    given_ = world(log("log-1", least), log("log-2", 5))
    given_.when(void_log(portion=THIRD)).then(log_voided(change=0, voidedPortion=THIRD))
    second = given_.when(void_log(identifier="void-2", portion=THIRD))
    second.then(log_voided(progress(5), change=-least, voidedPortion=2 * THIRD))
    rest = 1 - 2 * THIRD
    given_.when(void_log(identifier="void-3", portion=rest)).then(
        log_voided(progress(5), change=0, portion=rest, voidedPortion=1)
    )


@pytest.mark.parametrize(
    ("value", "halves"),
    [
        (5, (Decimal("-2.5"), Decimal("-2.5"))),
        (-5, (Decimal("2.5"), Decimal("2.5"))),
        (Decimal("0.000000003"), (Decimal("-0.000000002"), Decimal("-0.000000001"))),
        (Decimal("-0.000000003"), (Decimal("0.000000002"), Decimal("0.000000001"))),
        (Decimal("99999999999999999999.999999999"), None),
    ],
)
def test_halves_go_away_from_zero_and_the_whole_is_exact(
    value: Any, halves: tuple[Decimal, Decimal] | None
) -> None:
    given_ = world(log("log-1", value))
    moves = []
    for number in (1, 2):
        happened = given_.when(void_log(identifier=f"void-{number}", portion=HALF))
        moves.append(Decimal(str(happened.of("challenge_log.voided")[0]["change"])))
    assert sum(moves) == -value
    assert halves is None or tuple(moves) == halves


def test_more_than_there_is_cannot_be_voided() -> None:
    given_ = world(log("log-1", 60), void_log(portion=Decimal("0.7")))
    happened = given_.when(void_log(identifier="void-2", portion=Decimal("0.300000001")))
    happened.then(refused("over_voided", "portion"))
    happened.answering((409, {"code": "over_voided"}))
    given_.when(void_log(identifier="void-2", portion=Decimal("0.3"))).then(
        log_voided(progress(0), change=-18, voidedPortion=1)
    )
    given_.when(void_log(identifier="void-3")).then(refused("over_voided", "portion"))


def test_a_count_falls_by_one_when_a_log_is_wholly_voided() -> None:
    given_ = world(log("log-1"), log("log-2"), aggregationMethod="count")
    given_.when(void_log(portion=HALF)).then(log_voided(progress(2), change=0)).answering(
        (200, {"progress": []})
    )
    given_.when(void_log(identifier="void-2", portion=HALF)).then(
        log_voided(progress(1), change=-1)
    ).answering((200, {"progress": [{"currentProgressValue": 1}]}))


def test_it_counts_by_the_method_that_the_progress_began_with() -> None:
    given_ = world(log("log-1", 60), log("log-2", 30))
    given_.and_given(challenge(aggregationMethod="count"))
    given_.when(void_log()).then(log_voided(progress(30), change=-60))


def test_a_log_acts_in_its_own_period() -> None:
    yesterday = "2026-11-20T10:00:00Z"
    given_ = world(log("log-1", 60, activityAt=yesterday), log("log-2", 30))
    given_.when(void_log()).then(
        log_voided(progress(0, periodKey="2026-11-20"), periodKey="2026-11-20")
    )


def test_the_start_stays() -> None:
    early = "2026-11-21T08:00:00Z"
    given_ = world(log("log-1", 60, activityAt=early), log("log-2", 30))
    given_.when(void_log()).then(log_voided(progress(30, challengeStartedAt=early)))


def test_a_log_that_never_counted_changes_nothing() -> None:
    given_ = world(log("log-1", 60, status="draft"), log("log-2", 100))
    happened = given_.when(revoking())
    happened.then(log_voided(progress(100, "completed"), counted=False, change=0))
    happened.answering((200, {"progress": [], "voided": {"voidedPortion": 1}}))


def test_a_log_of_a_challenge_without_progress_is_voided_too() -> None:
    happened = world(log("log-1", 60, status="draft")).when(void_log())
    happened.then(log_voided(challengeProgress=None, counted=False, change=0))


def test_what_is_shown_is_never_below_zero_and_the_sum_goes_on_exactly() -> None:
    given_ = world(log("log-1", 60), log("log-2", -50))
    given_.when(void_log()).then(log_voided(progress(0), change=-60))
    given_.when(log("log-3", 60)).then(recorded(progress(10)))


def test_the_log_itself_stays_and_its_identifier_is_used_up() -> None:
    given_ = world(log("log-1", 60), void_log())
    happened = given_.when(log("log-1", 60))
    happened.then_nothing_happened()
    happened.answering((409, {"record": {"challengeProgress": {"currentProgressValue": 60}}}))


def test_a_paused_members_logs_can_be_voided() -> None:
    pause = command("update-member-status", userId="ann", status="paused")
    world(log("log-1", 60), pause).when(void_log()).then(log_voided(progress(0)))


def test_a_deleted_challenges_logs_can_be_voided() -> None:
    given_ = world(log("log-1", 100)).and_given(challenge().deleted())
    given_.when(revoking()).then(log_voided(progress(0, "completed"), definitionVersion=-1))


# Which log.


def test_what_is_not_there_is_unknown() -> None:
    given_ = world(log("log-1", 60))
    given_.when(void_log("log-2")).then(refused("unknown_log", "of")).answering(
        (404, {"code": "unknown_log"})
    )
    given_.when(void(id=numbered(9))).then(refused("unknown_log", "id"))


def test_a_log_of_another_member_is_unknown() -> None:
    given_ = world(log("log-1", 60), ben)
    given_.when(void(id=log_id(), userId="ben")).then(refused("unknown_log", "id"))
    given_.when(void_log(userId="ben")).then(refused("unknown_log", "of"))


@pytest.mark.parametrize("named", [void_log(), void(id=log_id())])
def test_a_log_of_before_is_not_voidable(named: Sent) -> None:
    partition = Partition()
    world_ = given(ann, challenge(), log("log-1", 60), partition=partition)
    key = log_key(log_id())
    kept = LOG.decode(partition.entries[key])
    partition.entries[key] = partition.entries[key].replace(
        f',{kept.did},"{kept.of}"]'.encode(), b"]"
    )
    happened = world_.when(named)
    happened.then(refused("not_voidable")).answering((409, {"code": "not_voidable"}))
    assert not [key for key in happened.effects.writes if key != b"o"]


@pytest.mark.parametrize("by_id", [True, False])
def test_a_log_that_an_event_fed_goes_with_its_event(by_id: bool) -> None:
    given_ = given(ann, challenge(eventIds=["purchase"]), purchase_of())
    given_.and_given(event("purchase", metadata={"amount": 3}, idempotencyKey="k"))
    fed = ids.event_log_id(PROJECT, ANN, "k")
    named = void(id=log_id(fed)) if by_id else void_log(fed)
    given_.when(named).then(refused("belongs_to_event")).answering(
        (409, {"code": "belongs_to_event"})
    )


def test_two_challenges_may_have_logs_of_one_identifier() -> None:
    other = challenge(OTHER_CHALLENGE)
    given_ = world(other, log("log-1", 60), log("log-1", 7, challengeId=OTHER_CHALLENGE))
    of = {"challengeId": OTHER_CHALLENGE, "uniqueIdentifier": "log-1"}
    given_.when(void(of=of)).then(log_voided(progress(0), challengeId=OTHER_CHALLENGE))


# Repeats.


def test_a_repeat_moves_nothing_and_gets_the_first_answer() -> None:
    given_ = world(log("log-1", 60), log("log-2", 30))
    first = given_.when(void_log())
    again = given_.when(void_log(), void_log("log-2"))
    again.then_nothing_happened()
    assert again.answers == first.answers * 2
    assert again.counts["duplicates"] == 2


def test_an_identifier_is_its_members_own_and_a_refused_one_stays_free() -> None:
    given_ = world(log("log-1", 60), ben, log("log-1", 5, ownedBy={"externalId": "ben"}))
    given_.when(void_log("log-9")).then(refused("unknown_log", "of"))
    given_.when(void_log()).then(log_voided(progress(0)))
    given_.when(void_log(userId="ben")).then(log_voided(progress(0), change=-5))


def test_a_void_can_ask_for_a_version_of_the_member() -> None:
    given_ = world(log("log-1", 60))
    given_.when(void_log(ifVersion=7)).then_nothing_happened().answering(
        (412, {"code": "version_mismatch"})
    )
    given_.when(void_log(ifVersion=1)).then(log_voided(progress(0)))


# Falling short.


def test_a_completed_progress_that_falls_short_is_in_progress_again() -> None:
    given_ = world(log("log-1", 60), log("log-2", 40))
    happened = given_.when(void_log())
    gone: dict[str, Any] = {"challengeCompletedAt": None, "challengeFailedAt": None}
    happened.then(
        log_voided(progress(40, **gone)), reopened(currentProgressValue=40, updatedAt=NOW, **gone)
    )
    happened.answering((200, {"progress": [{"challengeProgressStatus": "in_progress", **gone}]}))


def test_a_completed_progress_that_stays_at_its_target_stays_completed() -> None:
    given_ = world(log("log-1", 60), log("log-2", 60), log("log-3", 40))
    given_.when(void_log()).then(log_voided(progress(100, "completed")))


def test_it_has_failed_where_its_period_is_over() -> None:
    given_ = world(log("log-1", 100))
    happened = given_.when(void_log().arriving(TOMORROW))
    ended = {"challengeFailedAt": "2026-11-22T00:00:00Z", "challengeCompletedAt": None}
    happened.then(log_voided(progress(0, "failed", **ended)), reopened("failed", **ended))
    given_.when(tick("2026-11-23")).then()


def test_it_fails_by_a_tick_where_its_period_ends_later() -> None:
    given_ = world(log("log-1", 100), void_log())
    (failed,) = given_.when(tick("2026-11-22")).of("challenge.failed")
    assert failed["challengeFailedAt"] == "2026-11-22T00:00:00Z"
    given_.when(tick("2026-11-23")).then()


def test_the_end_of_a_challenge_is_its_progress_end() -> None:
    given_ = world(log("log-1", 100), endsAt="2026-11-21T14:00:00Z")
    happened = given_.when(void_log().arriving(LATER))
    happened.then(log_voided(), reopened("failed", challengeFailedAt="2026-11-21T14:00:00Z"))


def test_what_is_completed_again_says_so_again() -> None:
    given_ = world(log("log-1", 100))
    first = given_.when(log("log-2", 0.5), void_log())
    first.then(recorded(), log_voided(), reopened())
    again = given_.when(log("log-3", 100))
    again.then(recorded(progress(Decimal("100.5"), "completed")), completed())
    once_more = given_.when(void_log("log-3", "void-2"), log("log-4", 100))
    once_more.then(log_voided(), reopened(), recorded(), completed())
    completions = [
        envelope["id"]
        for happened in (again, once_more)
        for envelope in happened.envelopes
        if envelope["type"] == "milestream.challenge.completed.v1"
    ]
    progress_id = ids.progress_id(PROJECT, CHALLENGE, ANN, DAY)
    assert completions == [
        ids.event_id(PROJECT, "challenge.completed", progress_id, version) for version in (1, 2)
    ]


def test_the_target_in_force_decides() -> None:
    given_ = world(log("log-1", 60), log("log-2", 40)).and_given(
        challenge(completionTargetValue=30)
    )
    given_.when(void_log()).then(log_voided(progress(40, "completed")))
    given_.and_given(challenge(completionTargetValue=50))
    given_.when(void_log("log-2", "void-2", portion=HALF)).then(log_voided(), reopened())


def test_a_paused_challenge_can_fall_short() -> None:
    given_ = world(log("log-1", 100)).and_given(challenge(status="paused"))
    given_.when(void_log()).then(log_voided(), reopened())


def test_a_tier_that_goes_by_the_progress_falls_with_it() -> None:
    basis = {"type": "progress", "challengeId": CHALLENGE}
    given_ = world(tier_set(0, 50, basis=basis, downgrade="to_basis"), log("log-1", 60))
    given_.when(void_log(portion=HALF)).then(log_voided(progress(30)), changed("t1", "t0"))


# Negative values.


def test_a_voided_negative_value_raises_the_sum_and_reaches_as_a_log_would() -> None:
    at = "2026-11-21T11:00:00Z"
    given_ = world(milestone(80), log("log-1", -50, activityAt=at), log("log-2", 100))
    happened = given_.when(void_log().arriving(LATER))
    happened.then(
        log_voided(progress(100, "completed", challengeCompletedAt=at), change=50),
        completed(challengeCompletedAt=at),
        reached(value=100, reachedAt=at),
        granted(createdAt=LATER),
    )


@pytest.mark.parametrize(
    "pause",
    [challenge(status="paused"), command("update-member-status", userId="ann", status="paused")],
)
def test_what_is_paused_reaches_nothing_by_it(pause: Defined | Sent) -> None:
    given_ = world(log("log-1", -50), log("log-2", 100), pause)
    given_.when(void_log()).then(log_voided(progress(100), change=50))


# What was given.


def rewarded(*things: Defined | Sent, **fields: Any) -> Given:
    """Ann has reached 50, and completed 100."""
    return world(milestone(50, points=5), *things, log("log-1", 100), **fields)


def test_rewards_stay_unless_they_are_to_be_revoked() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    happened = given_.when(void_log())
    happened.then(log_voided(), reopened()).answering((200, {"revoked": [], "notRevoked": []}))
    given_.when(log("log-2", 100)).then(recorded(progress(100, "completed")), completed())


def test_rewards_that_are_not_issued_are_revoked_with_all_points() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    happened = given_.when(revoking(reason="fraud").arriving(LATER))
    happened.then(
        log_voided(progress(0)),
        reopened(),
        revoked(
            id=REWARD_LOG,
            version=2,
            revokedAt=LATER,
            updatedAt=LATER,
            createdAt=NOW,
            reason="fraud",
        ),
        reversed_(-20, balance=5, what="challenge_log", voidedId=log_id(), grantedAt=TEN),
        reversed_(-5, balance=0),
    )
    reference = {"rewardLogId": REWARD_LOG, "milestoneId": MILESTONE, "memberId": ANN}
    happened.answering(
        (
            200,
            {
                "points": {"reversed": 25, "notRecovered": 0},
                "revoked": [{**reference, "periodKey": DAY}],
                "notRevoked": [],
            },
        )
    )


def test_points_that_are_gone_are_said_to_be() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    spent = command("spend-points", userId="ann", points=22, uniqueIdentifier="s", reason="mug")
    happened = given_.and_given(spent).when(revoking())
    happened.then(
        log_voided(),
        reopened(),
        revoked(),
        reversed_(-3, notRecovered=17, balance=0),
        reversed_(0, notRecovered=5),
    )
    happened.answering((200, {"points": {"reversed": 3, "notRecovered": 22}}))


def test_what_was_revoked_is_granted_again_under_the_same_id() -> None:
    given_ = rewarded(pointsOnCompletion=20).and_given(revoking())
    happened = given_.when(log("log-2", 100).arriving(LATER))
    happened.then(
        recorded(achievedMilestoneRewardLog={"id": REWARD_LOG, "version": 3}),
        completed(),
        reached(),
        granted(id=REWARD_LOG, version=3, createdAt=NOW, updatedAt=LATER),
        earned(20, balance=20),
        earned(5, balance=25),
    )
    again = given_.when(revoking("log-2", "void-2"))
    again.then(
        log_voided(), reopened(), revoked(version=4), reversed_(-20), reversed_(-5, balance=0)
    )
    given_.when(log("log-3", 60)).then(recorded(), reached(), granted(version=5), earned(5))


def test_the_first_answer_of_the_log_that_reached_it_again_has_it_as_it_was() -> None:
    given_ = rewarded(pointsOnCompletion=20).and_given(revoking())
    again = log("log-2", 100).arriving(LATER)
    ((_, first),) = given_.when(again).answers
    given_.and_given(revoking("log-2", "void-2"))
    ((status, body),) = given_.when(again).answers
    assert (status, body["record"]) == (409, first)


def test_each_time_that_points_are_given_is_an_entry_of_its_own() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    entries, taken = set(), set()
    for number in (2, 3):
        reversals = given_.when(revoking(f"log-{number - 1}", f"void-{number}"))
        taken |= {each["reversedEntryId"] for each in reversals.of("points.reversed")}
        happened = given_.when(log(f"log-{number}", 100))
        entries |= {each["id"] for each in happened.of("points.granted")}
        assert {each["sourceId"] for each in happened.of("points.granted")} == {
            REWARD_LOG,
            ids.progress_id(PROJECT, CHALLENGE, ANN, DAY),
        }
    assert len(entries) == 4
    assert len(taken) == 4
    assert len(entries & taken) == 2


def test_what_definitions_say_later_does_not_change_what_is_taken_back() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    given_.and_given(challenge(pointsOnCompletion=999, challengeGroup="other"))
    given_.and_given(milestone(50, points=777))
    given_.when(revoking()).then(
        log_voided(),
        reopened(),
        revoked(),
        reversed_(-20, challengeGroup="_default"),
        reversed_(-5, balance=0),
    )


def issued(at: str | None = NOW) -> Sent:
    return command("update-reward-log", userId="ann", rewardLogId=REWARD_LOG, rewardIssuedAt=at)


def test_issued_rewards_stay_and_are_listed() -> None:
    given_ = rewarded(pointsOnCompletion=20)
    given_.and_given(issued())
    happened = given_.when(revoking())
    happened.then(log_voided(), reopened(), reversed_(-20, balance=5))
    happened.answering(
        (200, {"revoked": [], "notRevoked": [{"rewardLogId": REWARD_LOG, "periodKey": DAY}]})
    )
    given_.when(log("log-2", 60)).then(recorded(achievedMilestone=None))


def test_a_coupon_alone_does_not_keep_a_reward() -> None:
    coupon = command("update-reward-log", userId="ann", rewardLogId=REWARD_LOG, couponCode="X")
    given_ = rewarded().and_given(coupon)
    given_.when(revoking()).then(log_voided(), reopened(), revoked(couponCode="X"), reversed_(-5))
    given_.when(log("log-2", 60)).then(recorded(), reached(), granted(couponCode=None), earned(5))


def test_only_rewards_whose_target_is_not_reached_any_more_are_revoked() -> None:
    given_ = world(milestone(30), milestone(80, numbered(12)), log("log-1", 60), log("log-2", 40))
    given_.when(revoking()).then(log_voided(progress(40)), reopened(), revoked(numbered(12)))
    given_.when(log("log-3", 40)).then(
        recorded(), reached(numbered(12)), granted(numbered(12), version=3)
    )


def test_what_an_earlier_void_kept_a_later_one_may_revoke() -> None:
    given_ = rewarded(log("log-0", 10), pointsOnCompletion=20)
    given_.when(void_log()).then(log_voided(), reopened())
    given_.when(revoking("log-0", "void-2")).then(
        log_voided(), revoked(), reversed_(-20), reversed_(-5)
    )


def test_points_of_a_completion_that_were_kept_are_taken_back_with_the_next_one() -> None:
    """Completed, reopened and kept, completed again without points, then revoked: once."""
    given_ = world(log("log-1", 100), void_log(), log("log-2", 100), pointsOnCompletion=20)
    given_.when(revoking("log-2", "void-2")).then(
        log_voided(), reopened(), reversed_(-20, balance=0)
    )
    given_.when(log("log-3", 100)).then(recorded(), completed(), earned(20))


def test_a_completion_that_gave_nothing_gives_nothing_when_it_comes_again() -> None:
    given_ = world(log("log-1", 100), revoking()).and_given(challenge(pointsOnCompletion=20))
    given_.when(log("log-2", 100)).then(recorded(), completed())


def test_a_milestone_that_gave_nothing_gives_what_it_says_when_it_is_reached_again() -> None:
    given_ = world(milestone(50), log("log-1", 60), revoking())
    given_.and_given(milestone(50, points=5))
    given_.when(log("log-2", 60)).then(recorded(), reached(), granted(version=3), earned(5))


def test_a_deleted_milestones_reward_stays() -> None:
    given_ = rewarded().and_given(milestone(50).deleted())
    given_.when(revoking()).then(log_voided(), reopened()).answering(
        (200, {"revoked": [], "notRevoked": []})
    )


def test_a_paused_milestones_reward_is_revoked() -> None:
    given_ = rewarded().and_given(milestone(50, status="paused"))
    given_.when(revoking()).then(log_voided(), reopened(), revoked(), reversed_(-5))
    given_.when(log("log-2", 60)).then(recorded())


def shared() -> Given:
    """A milestone that was reached in one challenge, then moved to another and reached there."""
    given_ = given(ann, challenge(), challenge(OTHER_CHALLENGE), milestone(50), log("log-1", 60))
    given_.and_given(milestone(50, linkedSchemaRecordId=OTHER_CHALLENGE))
    return given_.and_given(log("log-2", 60, challengeId=OTHER_CHALLENGE))


def revoking_other(identifier: str = "void-2") -> Sent:
    of = {"challengeId": OTHER_CHALLENGE, "uniqueIdentifier": "log-2"}
    return void("challenge_log", identifier, of=of, rewards="revoke")


def test_a_reward_that_another_challenge_reaches_in_the_period_stays() -> None:
    given_ = shared()
    given_.when(revoking()).then(log_voided(progress(0)))
    given_.when(revoking_other()).then(log_voided(progress(0)), revoked())


def test_it_is_the_same_in_the_other_order() -> None:
    given_ = shared()
    given_.when(revoking_other()).then(log_voided(progress(0)))
    given_.when(revoking()).then(log_voided(progress(0)), revoked())


def test_a_revoked_reward_that_was_moved_is_granted_by_the_other_challenge() -> None:
    given_ = given(ann, challenge(), challenge(OTHER_CHALLENGE), milestone(50), log("log-1", 60))
    given_.and_given(revoking(), milestone(50, linkedSchemaRecordId=OTHER_CHALLENGE))
    given_.when(log("log-2", 60, challengeId=OTHER_CHALLENGE)).then(
        recorded(), reached(), granted(version=3, linkedSchemaRecordId=OTHER_CHALLENGE)
    )


def test_a_period_of_its_own_has_rewards_of_its_own() -> None:
    yesterday = "2026-11-20T10:00:00Z"
    given_ = rewarded(log("log-0", 60, activityAt=yesterday))
    given_.when(revoking("log-0")).then(
        log_voided(), revoked(periodKey="2026-11-20"), reversed_(-5)
    )
    kept = REWARD.decode(given_.partition.entries[reward_key(REWARD_LOG)])
    assert kept.revoked_at is None


def moved_here(by: str) -> Given:
    """A milestone that a streak, or a pathway, gave; then it became a challenge's, and was reached
    there in the same period."""
    if by == "streak":
        given_ = given(ann, event_of(), streak_of(), streak_milestone(1), visit(DAY))
        given_.and_given(challenge())
    else:
        linked = {"linkedSchemaSlug": "pathway", "linkedSchemaRecordId": PATHWAY}
        given_ = on(activity()).and_given(milestone(1, **linked), did("1"))
        given_.and_given(challenge(aggregationPeriod="all_time"))
    return given_.and_given(milestone(50), log("log-1", 60))


@pytest.mark.parametrize("by", ["streak", "pathway"])
def test_a_reward_that_a_streak_or_a_pathway_gave_stays_while_it_is_reached_there(by: str) -> None:
    happened = moved_here(by).when(revoking())
    happened.then(log_voided(progress(0))).answering((200, {"revoked": [], "notRevoked": []}))


def test_a_reward_of_a_streak_is_revoked_where_that_does_not_reach_it_any_more() -> None:
    given_ = given(ann, event_of(), streak_of(), streak_milestone(1), challenge())
    given_.and_given(visit(DAY, idempotencyKey="key-1"), milestone(50), log("log-1", 60))
    happened = given_.when(void_event(rewards="revoke"))
    assert not happened.of("reward.revoked")
    given_.and_given(streak_milestone(1))
    given_.when(revoking("log-1", "void-2")).then(log_voided(progress(0)), revoked())


def of_before(given_: Given) -> Given:
    """Leave of rewards what a version wrote that did not say what points came with them."""
    entries = given_.partition.entries
    for key in [key for key in entries if key.startswith(GRANTED.prefix)]:
        del entries[key]
    for key in [key for key in entries if key.startswith(REWARD.prefix)]:
        entries[key] = msgspec.json.encode(msgspec.json.decode(entries[key])[:11])
    return given_


def test_a_reward_of_before_is_not_revoked_as_nothing_says_what_points_it_gave() -> None:
    given_ = of_before(world(milestone(50, points=5), log("log-0", -45), log("log-1", 100)))
    happened = given_.when(revoking())
    happened.then(log_voided(progress(0))).answering(
        (200, {"revoked": [], "notRevoked": [{"rewardLogId": REWARD_LOG}]})
    )
    given_.when(log("log-2", 99)).then(recorded(progress(54)))


def test_a_reward_of_before_that_gives_no_points_is_revoked_and_never_gives_any() -> None:
    given_ = of_before(world(milestone(50, points=5), log("log-1", 60)))
    given_.and_given(milestone(50))
    given_.when(revoking()).then(log_voided(), revoked())
    given_.and_given(milestone(50, points=5))
    given_.when(log("log-2", 60)).then(recorded(), reached(), granted(version=3))
    given_.when(revoking("log-2", "void-2")).then(log_voided()).answering((200, {"revoked": []}))


def test_points_of_before_that_are_remembered_are_taken_back() -> None:
    given_ = world(rolling(), milestone(50, points=5), log("log-1", 60))
    lots = {k: v for k, v in given_.partition.entries.items() if k.startswith(GRANTED.prefix)}
    of_before(given_).partition.entries.update(lots)
    given_.when(revoking()).then(log_voided(), revoked(), reversed_(-5))
    given_.when(log("log-2", 60)).then(recorded(), reached(), granted(version=3), earned(5))


def test_points_of_a_completion_of_before_stay_and_are_not_given_again() -> None:
    given_ = of_before(world(log("log-1", 100), pointsOnCompletion=20))
    given_.when(revoking()).then(log_voided(), reopened()).answering(
        (200, {"points": {"reversed": 0, "notRecovered": 0}})
    )
    given_.when(log("log-2", 100)).then(recorded(), completed())

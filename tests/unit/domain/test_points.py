"""Points: a ledger with a balance a challenge group (`schemas/README.md#points`)."""

from typing import Any

import pytest

from schemas import ids
from tests.event_spec import earned, event, event_of, logged, redeem, redeemed
from tests.spec import (
    ANN,
    CHALLENGE,
    MILESTONE,
    NOW,
    PROJECT,
    Happened,
    ann,
    ben,
    challenge,
    command,
    completed,
    given,
    granted,
    log,
    milestone,
    reached,
    recorded,
    refused,
)

spring = event_of("plant", reward={"default": 20}, challengeGroup="spring")


def balances(happened: Happened) -> list[tuple[int, int]]:
    """Return the balance of the group, and in total, after each entry."""
    entries = [fact.data for fact in happened.facts if fact.type.startswith("points.")]
    return [(entry["balance"], entry["totalBalance"]) for entry in entries]


def test_an_event_s_points_are_an_entry_of_the_ledger() -> None:
    sent = event("visit", "2026-11-21T10:00:00Z", idempotencyKey="k", ip="192.0.2.1")
    happened = given(ann, event_of(challengeGroup="spring")).when(sent)
    event_log = ids.derive(f"{PROJECT}:event:{ANN}:k")
    happened.then(
        logged(),
        earned(
            5,
            userId="ann",
            ownedById=ANN,
            actionId="visit",
            challengeGroup="spring",
            balance=5,
            totalBalance=5,
            operation="grant",
            eventId="visit",
            userGroupId="default",
            sourceId=event_log,
            ip="192.0.2.1",
            occurredAt="2026-11-21T10:00:00Z",
            createdAt=NOW,
        ),
    )


def test_balances_are_kept_by_group_and_in_total() -> None:
    happened = given(ann, event_of(), spring).when(event(), event("plant"), event())
    assert balances(happened) == [(5, 5), (20, 25), (10, 30)]


def test_balances_are_a_member_s_own() -> None:
    happened = given(ann, ben, event_of()).when(event(), event(userId="ben"))
    assert balances(happened) == [(5, 5), (5, 5)]


def test_no_points_are_no_entry() -> None:
    given(ann, event_of(reward={"default": 0})).when(event()).then(logged(0))


def test_a_redemption_is_written_in_full_and_the_balance_stops_at_zero() -> None:
    world = given(ann, event_of(), event(), event())
    world.when(redeem(4, ip="192.0.2.1")).then(
        redeemed(
            -4,
            balance=6,
            totalBalance=6,
            actionId="redeem",
            operation="redeem",
            challengeGroup="_default",
            eventId=None,
            userGroupId="default",
            ip="192.0.2.1",
        )
    ).answering((200, {"points": -4, "balance": 6}))
    world.when(redeem(100, "redeem-2")).then(redeemed(-100, balance=0, totalBalance=0))
    world.when(event()).then(logged(), earned(5, balance=5, totalBalance=5))


def test_a_redemption_takes_from_the_group_that_it_names() -> None:
    world = given(ann, event_of(), spring, event(), event("plant"))
    happened = world.when(redeem(30, challengeGroup="spring"), redeem(1, "redeem-2"))
    happened.then(redeemed(-30, challengeGroup="spring"), redeemed(-1))
    assert balances(happened) == [(0, 5), (4, 4)]


def test_an_identifier_redeems_once_and_is_answered_as_it_was_first() -> None:
    world = given(ann, event_of(), event())
    first = world.when(redeem(3))
    again = world.when(redeem(4), redeem(3))
    again.then()
    assert again.answers == first.answers * 2
    assert again.counts["duplicates"] == 2


def test_an_identifier_is_of_one_member() -> None:
    world = given(ann, ben, event_of(), event(), event(userId="ben"), redeem(1))
    world.when(redeem(1, userId="ben")).then(redeemed(-1, balance=4))


@pytest.mark.parametrize("points", [0, -1, 1.5, "3", None, 10**13])
def test_only_whole_points_above_zero_are_redeemed(points: Any) -> None:
    wrong = command("redeem-points", userId="ann", points=points, uniqueIdentifier="r")
    given(ann, event_of(), event()).when(wrong).then(refused("invalid", "points"))


def test_an_unknown_member_redeems_nothing() -> None:
    given(event_of()).when(redeem(1)).then(refused("unknown_member"))


def test_a_completed_challenge_gives_its_points_once() -> None:
    fifty = challenge(pointsOnCompletion=50, challengeGroup="spring")
    world = given(ann, fifty)
    world.when(log("a", 99)).then(recorded())
    world.when(log("b", 1), log("c", 1)).then(
        recorded(),
        completed(),
        recorded(),
        earned(
            50,
            actionId=f"challenge:{CHALLENGE}",
            challengeGroup="spring",
            userGroupId="default",
            operation="grant",
            occurredAt="2026-11-21T10:00:00Z",
            sourceId=ids.progress_id(PROJECT, CHALLENGE, ANN, "2026-11-21"),
        ),
    )


def test_each_period_s_completion_gives_points() -> None:
    world = given(ann, challenge(pointsOnCompletion=50), log("a", 100))
    world.when(log("b", 100, activityAt="2026-11-20T10:00:00Z")).then(
        recorded(), completed(), earned(50, balance=100)
    )


def test_a_milestone_gives_its_points_with_its_reward() -> None:
    world = given(ann, challenge(challengeGroup="spring"), milestone(10, points=7))
    world.when(log("a", 10), log("b", 10)).then(
        recorded(),
        recorded(),
        reached(),
        granted(),
        earned(
            7,
            actionId=f"milestone:{MILESTONE}",
            challengeGroup="spring",
            sourceId=ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21"),
        ),
    )


def test_a_deleted_member_s_balance_is_kept() -> None:
    gone = command("delete-member", memberId=ANN)
    world = given(ann, event_of(), event(), gone, ann)
    world.when(event()).then(logged(), earned(5, balance=10))


def test_names_that_hold_nothing_are_not_kept() -> None:
    """Any name may be redeemed from, and an entry must stay small."""
    empty = [redeem(1, f"r-{n}", challengeGroup=f"group-{n}") for n in range(50)]
    happened = given(ann, event_of(), event()).when(*empty)
    assert [p["balance"] for p in happened.of("points.redeemed")] == [0] * 50
    assert max(len(value) for value in happened.partition.entries.values()) < 1000

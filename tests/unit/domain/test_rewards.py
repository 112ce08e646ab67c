"""How a backend writes down what became of a reward: ``update-reward-log``."""

from typing import Any

import pytest

from schemas import ids
from tests.spec import (
    ANN,
    MILESTONE,
    PROJECT,
    Given,
    Sent,
    ann,
    ben,
    challenge,
    command,
    given,
    log,
    milestone,
    refused,
    updated,
    upsert,
)
from tests.void_spec import void_log

REWARD = ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21")


def rewarded() -> Given:
    return given(ann, ben, challenge(), milestone(50), log("a", 60))


def update(**fields: Any) -> Sent:
    return command("update-reward-log", **{"rewardLogId": REWARD, "userId": "ann"} | fields)


def test_a_coupon_is_written_down() -> None:
    rewarded().when(update(couponCode="SAVE10").arriving("2026-11-21T13:00:00Z")).then(
        updated(
            id=REWARD,
            ownedById=ANN,
            couponCode="SAVE10",
            rewardIssuedAt=None,
            rewardExpiryAt=None,
            version=2,
            createdAt="2026-11-21T12:00:00Z",
            updatedAt="2026-11-21T13:00:00Z",
            milestone={"id": MILESTONE},
        )
    ).answering((200, {"id": REWARD, "couponCode": "SAVE10", "version": 2}))


def test_a_reward_that_was_revoked_is_fulfilled_only_once_it_is_granted_again() -> None:
    world = rewarded().and_given(void_log("a", rewards="revoke"))
    world.when(update(couponCode="SAVE10")).then(
        refused("reward_revoked", "rewardLogId")
    ).answering((409, {"code": "reward_revoked"}))
    again = world.and_given(log("b", 60))
    again.when(update(couponCode="SAVE10")).then(updated(id=REWARD, couponCode="SAVE10", version=4))


def test_dates_are_brought_to_utc_and_may_lie_ahead() -> None:
    rewarded().when(
        update(rewardIssuedAt="2026-11-21T14:00:00+02:00", rewardExpiryAt="2027-12-31T23:59:59Z")
    ).then(updated(rewardIssuedAt="2026-11-21T12:00:00Z", rewardExpiryAt="2027-12-31T23:59:59Z"))


def test_only_the_fields_given_change_and_null_clears() -> None:
    rewarded().and_given(update(couponCode="A", rewardIssuedAt="2026-11-21T12:00:00Z")).when(
        update(couponCode=None)
    ).then(updated(couponCode=None, rewardIssuedAt="2026-11-21T12:00:00Z", version=3))


def test_an_update_that_changes_nothing_announces_nothing_and_is_answered() -> None:
    rewarded().and_given(update(couponCode="A")).when(
        update(couponCode="A"), update()
    ).then_nothing_happened().answering((200, {"version": 2}), (200, {"couponCode": "A"}))


def test_an_update_of_a_version_that_has_passed_changes_nothing() -> None:
    rewarded().when(update(couponCode="A", ifVersion=7)).then_nothing_happened().answering(
        (412, {"code": "version_mismatch"})
    )
    rewarded().when(update(couponCode="A", ifVersion=1), update(couponCode="B", ifVersion=1)).then(
        updated(couponCode="A", version=2)
    ).answering((200, {}), (412, {}))


def test_the_id_may_be_in_capitals_and_the_member_named_by_its_own() -> None:
    fields = {"rewardLogId": REWARD.upper(), "memberId": ANN, "couponCode": "A"}
    rewarded().when(command("update-reward-log", **fields)).then(updated(couponCode="A"))


def test_a_reward_shows_its_milestone_as_it_is_now() -> None:
    rewarded().and_given(milestone(70, name="Renamed")).when(update(couponCode="A")).then(
        updated(milestone={"name": "Renamed"})
    )
    rewarded().and_given(milestone(50).deleted()).when(update(couponCode="A")).then(
        updated(milestone=None)
    )


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"userId": "ben"}, "invalid", "rewardLogId"),
        ({"userId": "zoe"}, "unknown_member", "userId"),
        ({"rewardLogId": ids.derive("other")}, "invalid", "rewardLogId"),
        ({"rewardLogId": "first"}, "invalid", "rewardLogId"),
        ({"rewardLogId": ""}, "invalid", "rewardLogId"),
        ({"rewardIssuedAt": "2026-11-21T12:00:00"}, "invalid", "rewardIssuedAt"),
        ({"rewardExpiryAt": "0001-01-01T00:00:00+05:00"}, "invalid", "rewardExpiryAt"),
        ({"couponCode": 7}, "invalid", "couponCode"),
        ({"couponCode": "x" * 257}, "invalid", "couponCode"),
    ],
)
def test_a_bad_update_is_refused_and_changes_nothing(
    fields: dict[str, Any], reason: str, field: str
) -> None:
    bad = rewarded().when(update(**fields))
    bad.then(refused(reason, field))
    bad.and_when(update(couponCode="A", ifVersion=1)).then(updated(version=2))


def test_a_reward_of_another_project_is_not_to_be_reached() -> None:
    world = rewarded().and_given(upsert("ann", project="acme"))
    world.when(update(project="acme", couponCode="A")).then(refused("invalid", "rewardLogId"))
    world.when(
        command(
            "update-reward-log", project="acme", memberId=ANN, rewardLogId=REWARD, couponCode="A"
        )
    ).then(refused("unknown_member", "userId"))

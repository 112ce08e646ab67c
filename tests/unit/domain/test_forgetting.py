"""Members who are forgotten: what is kept of them, and who comes back (section 18)."""

from typing import Any

import msgspec

from processor.domain.aggregates.member import FORGOTTEN, Member
from processor.domain.state_kinds import member_key
from schemas import ids
from tests.event_spec import tick
from tests.points_spec import adjust, hold, spend, spent
from tests.spec import (
    ANN,
    Partition,
    ben,
    challenge,
    command,
    forgotten,
    given,
    log,
    milestone,
    numbered,
    progress,
    recorded,
    refused,
    upsert,
    upserted,
)

PERSONAL: dict[str, Any] = {
    "firstName": "Ann",
    "lastName": "Lee",
    "email": "ann@example.org",
    "phoneNumber": "+14155552671",
    "telephone": "415 555 2671",
    "country": "US",
    "city": "Oakland",
    "groups": ["gold"],
    "timezone": "America/Los_Angeles",
    "attributes": {"plan": "plus"},
}
NOTHING: dict[str, Any] = dict.fromkeys(PERSONAL) | {"groups": [], "attributes": "(absent)"}
AT = "2026-11-21T13:00:00Z"
forget = command("forget-member", userId="ann").arriving(AT)
known = upsert("ann", **PERSONAL)


def kept(partition: Partition) -> bytes:
    """Return all that the state has."""
    return b" ".join([*partition.entries.keys(), *partition.entries.values()])


def test_a_forgotten_member_leaves_its_id() -> None:
    happened = given(known).when(forget)
    happened.then(*forgotten(forgottenAt=AT, version=2)).answering(
        (200, {"userId": "ann", "memberId": ANN, "forgottenAt": AT})
    )
    entry = msgspec.json.decode(happened.partition.entries[member_key(ANN)], type=Member)
    assert (entry.external_id, entry.status, entry.version) == ("ann", FORGOTTEN, 2)
    for value in ("Ann", "Lee", "example.org", "4155552671", "415 555", "US", "Oakland", "plus"):
        assert value.encode() not in kept(happened.partition)


def test_it_is_forgotten_once_and_told_the_same_again() -> None:
    later = command("forget-member", memberId=ANN).arriving("2026-11-22T13:00:00Z")
    given(known, forget).when(later).then_nothing_happened().answering(
        (200, {"userId": "ann", "memberId": ANN, "forgottenAt": AT})
    )


def test_nobody_is_forgotten_who_is_not_known_or_of_another_project_or_version() -> None:
    given().when(forget).then(refused("unknown_member", "userId")).answering(
        (404, {"code": "unknown_member"})
    )
    other = command("forget-member", memberId=ANN, project="other")
    given(known).when(other).then(refused("unknown_member")).answering((404, {}))
    given(known).when(command("forget-member", userId="ann", ifVersion=7)).then().answering(
        (412, {"code": "version_mismatch"})
    )


def test_a_deleted_member_can_be_forgotten_and_a_forgotten_one_not_deleted() -> None:
    delete = command("delete-member", userId="ann")
    given(known, delete).when(forget).then(*forgotten(version=3)).answering((200, {}))
    given(known, forget).when(delete).then(refused("unknown_member", "userId"))


def test_records_that_were_on_their_way_are_refused_and_do_not_wait() -> None:
    pause = command("update-member-status", userId="ann", status="paused")
    given(challenge(), known, forget).when(log(value=5).with_headers(), pause).then(
        refused("unknown_member", "ownedById"), refused("unknown_member", "userId")
    )


def test_who_comes_back_begins_without_names_and_goes_on_with_what_it_has() -> None:
    back = upsert("ann", city="Berlin")
    given(challenge(), known, log("log-1", value=40), adjust(100), forget).when(back).then(
        upserted(**NOTHING | {"city": "Berlin"}, version=3, status="live")
    ).answering((201, {"id": ANN, "version": 3})).and_when(
        log("log-1", value=40), log("log-2", value=20), spend(30)
    ).then(recorded(progress(60)), spent(-30, balance=70)).answering(
        (409, {}), (201, {}), (200, {})
    )


def test_a_log_with_its_member_inline_brings_it_back() -> None:
    inline = log("log-9", value=5, ownedBy={"externalId": "ann"})
    given(challenge(), known, forget).when(inline).then(
        upserted(**NOTHING, version=3), recorded(progress(5))
    )


def test_forgotten_and_back_in_one_chunk_ends_with_who_came_back() -> None:
    happened = given(known).when(forget, upsert("ann", lastName="Poe"))
    happened.then(*forgotten(), upserted(**NOTHING | {"lastName": "Poe"}, version=3))
    assert [bool(each.value) for each in happened.outputs("member-events")] == [False, True]
    assert happened.effects.forgotten == {ANN: None}


def test_what_it_was_given_goes_on() -> None:
    """A reward is updated, a hold lapses, a challenge fails: all that names nobody."""
    reward = ids.reward_log_id("default", numbered(11), ANN, "2026-11-21")
    partition = Partition()
    given(
        challenge(endsAt="2026-11-22T00:00:00Z"),
        milestone(10),
        known,
        log(value=20),
        adjust(100),
        hold(30, until="2026-11-22T12:00:00Z"),
        forget,
        partition=partition,
    )
    happened = partition.fold(
        command("update-reward-log", userId="ann", rewardLogId=reward, couponCode="C")
    )
    assert [fact.type for fact in happened.facts] == ["reward.updated"]
    ticked = partition.fold(tick("2026-11-23T00:00:00Z"))
    assert {fact.type for fact in ticked.facts} == {"challenge.failed", "points.released"}


def test_other_members_are_not_touched() -> None:
    happened = given(challenge(), known, ben).when(
        forget, log(value=5, ownedById=ids.member_id("default", "ben"))
    )
    happened.then(*forgotten(), recorded(progress(5)))

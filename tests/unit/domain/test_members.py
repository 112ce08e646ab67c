"""Members: made and changed by commands and by logs, never across projects (sections 1, 2, 8)."""

from typing import Any

import pytest

from schemas import ids
from tests.spec import (
    ANN,
    CHALLENGE,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    progress,
    recorded,
    refused,
    upsert,
    upserted,
)

EVERYTHING: dict[str, Any] = {
    "firstName": "Ann",
    "lastName": "Lee",
    "email": "ann@example.org",
    "phoneNumber": "+14155552671",
    "telephone": "415 555 2671",
    "country": "US",
    "city": "San Francisco",
    "groups": ["gold", "early"],
    "timezone": "America/Los_Angeles",
}
NOTHING: dict[str, Any] = dict.fromkeys(EVERYTHING) | {"groups": []}
delete = command("delete-member", userId="ann")


def test_an_upsert_makes_a_member_with_the_id_that_anyone_can_compute() -> None:
    given().when(upsert("ann", **EVERYTHING)).then(
        upserted(
            id=ids.member_id("default", "ann"),
            version=1,
            status="live",
            createdAt="2026-11-21T12:00:00Z",
            updatedAt="2026-11-21T12:00:00Z",
            **EVERYTHING,
        )
    ).answering((201, {"id": ANN, "externalId": "ann", "version": 1}))


def test_an_upsert_changes_only_the_fields_it_gives_and_null_clears() -> None:
    given(upsert("ann", **EVERYTHING)).when(
        upsert("ann", city="Oakland", email=None, groups=None).arriving("2026-11-21T13:00:00Z")
    ).then(
        upserted(
            version=2,
            createdAt="2026-11-21T12:00:00Z",
            updatedAt="2026-11-21T13:00:00Z",
            **EVERYTHING | {"city": "Oakland", "email": None, "groups": []},
        )
    ).answering((200, {"id": ANN, "version": 2}))


def test_an_upsert_that_changes_nothing_announces_nothing_and_is_answered() -> None:
    given(upsert("ann", **EVERYTHING)).when(
        upsert("ann", city="San Francisco", groups=["gold", "early", "gold"]), upsert("ann")
    ).then_nothing_happened().answering((200, {"version": 1}), (200, {"version": 1}))


def test_an_upsert_that_must_find_a_member_does_not_make_one() -> None:
    careful = upsert("ann", city="Oakland", mustExist=True)
    given().when(careful).then(refused("unknown_member", "externalId"))
    given(ann).when(careful).then(upserted(city="Oakland"))
    given(ann, delete).when(careful).then(refused("unknown_member", "externalId"))


def test_an_upsert_of_new_members_only_leaves_one_that_is_there_as_it_is() -> None:
    careful = upsert("ann", city="Oakland", status="paused", onlyNew=True)
    given().when(careful).then(upserted(city="Oakland")).answering((201, {"version": 1}))
    given(ann).when(careful).then_nothing_happened().answering((200, {"id": ANN, "version": 1}))
    given(ann, delete).when(careful).then(upserted(city="Oakland", version=3))


def test_an_upsert_of_a_version_that_has_passed_changes_nothing() -> None:
    given(ann, upsert("ann", city="Oakland")).when(
        upsert("ann", city="Bonn", ifVersion=1), upsert("ann", city="Bonn", ifVersion=2)
    ).then(upserted(city="Bonn", version=3)).answering(
        (412, {"code": "version_mismatch"}), (200, {})
    )


def test_a_log_makes_its_inline_member_before_it_counts() -> None:
    happened = given(challenge()).when(log("a", 5, ownedBy={"externalId": "ann", **EVERYTHING}))
    happened.then(upserted(id=ANN, version=1, **EVERYTHING), recorded(progress(5), ownedById=ANN))


def test_a_log_changes_only_the_given_fields_of_its_inline_member() -> None:
    given(upsert("ann", **EVERYTHING), challenge()).when(
        log("a", 5, ownedBy={"externalId": "ann", "city": "Oakland", "email": None}),
        log("b", 5, ownedBy={"externalId": "ann", "city": "Oakland"}),
        log("c", 5, ownedBy={"externalId": "ann"}),
    ).then(
        upserted(version=2, **EVERYTHING | {"city": "Oakland", "email": None}),
        recorded(progress(5)),
        recorded(progress(10)),
        recorded(progress(15)),
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"activityAt": "2026-11-23T12:00:00Z"},
        {"activityValue": "many"},
        {"activityValue": None},
        {"challengeId": ids.derive("unknown")},
        {"challengeId": "spend"},
    ],
)
def test_a_refused_log_leaves_its_inline_member_as_it_was(bad: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"activityValue": 5, "ownedBy": {"externalId": "ann", "city": "Bonn"}}
    happened = given(ann, challenge()).when(log("a", **fields | bad))
    assert [fact.type for fact in happened.facts] == ["refused"]
    assert set(happened.effects.writes) == {b"o"}


def test_a_refused_log_makes_no_member() -> None:
    refusal = given(challenge()).when(log("a", ownedBy={"externalId": "ann"}))
    refusal.then(refused("invalid", "activityValue"))
    refusal.and_when(log("a", 5)).then(refused("unknown_member", "ownedById"))


def test_a_log_of_nobody_known_is_refused_and_its_identifier_stays_free() -> None:
    unknown = given(challenge()).when(log("a", 5))
    unknown.then(refused("unknown_member", "ownedById")).answering(
        (404, {"code": "unknown_member", "errors": [{"field": "ownedById"}]})
    )
    unknown.and_given(ann).when(log("a", 5)).then(recorded(progress(5)))


def test_a_member_of_another_project_is_unknown() -> None:
    given(upsert("ann", project="acme"), challenge(), milestone(50)).when(
        log("a", 5, ownedById=ids.member_id("acme", "ann"))
    ).then(refused("unknown_member", "ownedById"))


def test_a_challenge_of_another_project_is_unknown() -> None:
    given(ann, challenge(project="acme")).when(log("a", 5)).then(
        refused("unknown_challenge", "challengeId")
    ).answering((404, {"code": "unknown_challenge"}))


def test_the_same_external_id_in_two_projects_is_two_members() -> None:
    given(ann, upsert("ann", project="acme", city="Bonn")).when(upsert("ann", city="Oakland")).then(
        upserted(id=ANN, city="Oakland")
    )


def test_deleting_a_member_erases_its_personal_data_and_keeps_its_id() -> None:
    given(upsert("ann", **EVERYTHING)).when(delete.arriving("2026-11-21T13:00:00Z")).then(
        upserted(
            id=ANN,
            status="deleted",
            version=2,
            createdAt="2026-11-21T12:00:00Z",
            updatedAt="2026-11-21T13:00:00Z",
            **NOTHING,
        )
    ).answering((200, {"status": "deleted", "version": 2}))


def test_no_entry_holds_personal_data_of_a_deleted_member() -> None:
    world = given(
        upsert("ann", **EVERYTHING), challenge(), log("a", 5, ownedBy={"externalId": "ann"})
    )
    world.when(delete)
    stored = b"".join(world.partition.entries.values())
    for value in ("Lee", "ann@example.org", "14155552671", "Francisco", "gold", "Los_Angeles"):
        assert value.encode() not in stored


def test_a_deleted_member_is_unknown_to_logs_and_commands() -> None:
    given(ann, challenge(), delete).when(
        log("a", 5), command("update-member-status", userId="ann", status="live"), delete
    ).then(
        refused("unknown_member", "ownedById"),
        refused("unknown_member", "userId"),
        refused("unknown_member", "userId"),
    )


def test_an_upsert_revives_a_deleted_member_with_its_counters() -> None:
    given(upsert("ann", **EVERYTHING), challenge(), log("a", 5), delete).when(
        upsert("ann", city="Bonn"), log("b", 6)
    ).then(
        upserted(status="live", version=3, **NOTHING | {"city": "Bonn"}), recorded(progress(11))
    ).answering((201, {}), (201, {}))


def test_a_log_with_an_inline_member_revives_it_too() -> None:
    given(ann, challenge(), log("a", 5), delete).when(
        log("b", 6, ownedBy={"externalId": "ann"})
    ).then(upserted(status="live"), recorded(progress(11)))


def test_a_member_is_paused_and_lives_again() -> None:
    pause = command("update-member-status", userId="ann", status="paused")
    resume = command("update-member-status", memberId=ANN.upper(), status="live")
    given(ann).when(pause, pause, resume).then(
        upserted(status="paused", version=2), upserted(status="live", version=3)
    ).answering((200, {"status": "paused"}), (200, {"status": "paused"}), (200, {"status": "live"}))


def test_a_paused_member_s_inline_fields_are_still_written() -> None:
    pause = command("update-member-status", userId="ann", status="paused")
    given(ann, challenge(), pause).when(
        log("a", 5, ownedBy={"externalId": "ann", "city": "Bonn"})
    ).then(upserted(city="Bonn", status="paused"), recorded(challengeProgress=None))


@pytest.mark.parametrize("type_", ["update-member-status", "delete-member"])
def test_a_command_for_nobody_known_is_refused(type_: str) -> None:
    status = {"status": "live"} if type_ == "update-member-status" else {}
    given().when(command(type_, userId="zoe", **status)).then(refused("unknown_member", "userId"))


def test_a_status_change_of_a_version_that_has_passed_changes_nothing() -> None:
    given(ann).when(
        command("update-member-status", userId="ann", status="paused", ifVersion=7),
        command("delete-member", userId="ann", ifVersion=7),
    ).then_nothing_happened().answering((412, {}), (412, {}))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"phoneNumber": "0415 5552671"}, "phoneNumber"),
        ({"phoneNumber": "+0415555267"}, "phoneNumber"),
        ({"phoneNumber": "+1234567890123456"}, "phoneNumber"),
        ({"phoneNumber": "+1415555२671"}, "phoneNumber"),
        ({"phoneNumber": "+14155552671\n"}, "phoneNumber"),
        ({"phoneNumber": ""}, "phoneNumber"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "member"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"externalId": ""}, "externalId"),
        ({"externalId": "x" * 257}, "externalId"),
        ({"firstName": "x" * 257}, "firstName"),
        ({"firstName": 7}, "firstName"),
        ({"groups": "gold"}, "groups"),
        ({"groups": ["gold", ""]}, "groups[1]"),
        ({"status": "deleted"}, "status"),
    ],
)
def test_a_bad_field_of_a_member_is_named(fields: dict[str, Any], field: str) -> None:
    given().when(command("upsert-member", **{"externalId": "ann"} | fields)).then(
        refused("invalid", field)
    )
    if "status" not in fields:
        given(challenge()).when(log("a", 1, ownedBy={"externalId": "ann"} | fields)).then(
            refused("invalid")
        )


def test_a_phone_number_in_e164_and_an_external_id_of_256_characters_are_good() -> None:
    long = "é" * 256
    given().when(upsert(long, phoneNumber="+4930123456")).then(
        upserted(long, phoneNumber="+4930123456")
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "userId"),
        ({"userId": "ann", "memberId": ANN}, "memberId"),
        ({"memberId": "ann"}, "memberId"),
        ({"userId": ""}, "userId"),
    ],
)
def test_a_command_names_its_member_in_one_way(fields: dict[str, Any], field: str) -> None:
    given(ann).when(command("delete-member", **fields)).then(refused("invalid", field))


@pytest.mark.parametrize("type_", ["promote-member", "", 7])
def test_a_command_that_is_none_is_refused(type_: Any) -> None:
    given(ann).when(command(type_, userId="ann")).then(refused("invalid", "type"))


def test_unknown_fields_are_ignored() -> None:
    given(ann, challenge()).when(
        log("a", 5, colour="red", ownedBy={"externalId": "ann", "x": 1})
    ).then(recorded(progress(5), challengeId=CHALLENGE))


def test_a_reply_names_a_member_and_holds_nothing_personal() -> None:
    world = given().when(upsert("ann", **EVERYTHING))
    (answer,) = world.effects.answers
    for value in EVERYTHING.values():
        assert str(value).encode() not in answer.value

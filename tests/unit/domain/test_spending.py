"""Spending: points spent, held, captured, released, adjusted (`schemas/README.md#spending`)."""

from typing import Any

import pytest

from processor.domain.state_kinds import DUE, balances_key
from schemas import ids
from schemas.replies import REPLY_TOPIC
from tests.event_spec import earned, event, event_of, logged, redeem, redeemed, tick
from tests.points_spec import (
    adjust,
    adjusted,
    capture,
    captured,
    held,
    hold,
    release,
    released,
    short,
    spend,
    spent,
)
from tests.spec import ANN, NOW, PROJECT, Given, Partition, Sent, ann, command, given, refused

big = event_of(reward={"default": 100})
SILENT: tuple[tuple[str, bytes | None], ...] = ()


def with_100(*more: Any) -> Given:
    """Ann has 100 points."""
    return given(ann, big, event(), *more)


def paused() -> Sent:
    return command("update-member-status", userId="ann", status="paused")


def shown(points: int, balance: int, held_: int, **fields: Any) -> tuple[int, dict[str, Any]]:
    """The answer to a command, with what is available worked out."""
    amounts = {"points": points, "balance": balance, "held": held_, "available": balance - held_}
    return 200, {"userId": "ann", "challengeGroup": "_default"} | amounts | fields


# Spending.


def test_a_spend_takes_its_points_and_is_an_entry_of_the_ledger() -> None:
    happened = with_100().when(spend(30, reason="mug"))
    happened.then(
        spent(
            -30,
            userId="ann",
            ownedById=ANN,
            actionId="spend",
            challengeGroup="_default",
            balance=70,
            totalBalance=70,
            held=0,
            available=70,
            uniqueIdentifier="spend-1",
            reason="mug",
            occurredAt=NOW,
            createdAt=NOW,
        )
    ).answering(shown(30, 70, 0, uniqueIdentifier="spend-1"))
    (envelope,) = happened.envelopes
    entry = ids.points_entry_id(PROJECT, "spend", f"{ANN}:spend-1")
    assert envelope["data"]["id"] == entry
    assert envelope["subject"] == ANN
    assert "actor" not in envelope["data"]
    assert "hold" not in envelope["data"]


def test_a_spend_is_all_or_nothing() -> None:
    world = with_100()
    refusal = {"code": "insufficient_points", "asked": 101, "available": 100}
    world.when(spend(101)).then_nothing_happened().answering((409, refusal))
    world.when(spend(100)).then(spent(-100, balance=0)).answering(shown(100, 0, 0))


def test_without_an_answer_asked_for_shortness_is_an_event_and_no_dead_letter() -> None:
    happened = with_100().when(spend(101, reason="mug").with_headers(*SILENT))
    happened.then(
        short(
            101,
            100,
            command="spend-points",
            uniqueIdentifier="spend-1",
            challengeGroup="_default",
            balance=100,
            held=0,
            reason="mug",
            userId="ann",
            ownedById=ANN,
            id=ids.derive(f"{PROJECT}:points_refused:member-commands:0:1"),
        )
    )
    assert set(happened.effects.writes) == {b"o"}


def test_an_answer_that_cannot_be_asked_for_is_none_that_was_asked_for() -> None:
    incomplete = spend(101).with_headers((REPLY_TOPIC, b"replies"))
    with_100().when(incomplete).then(short(101, 100))


def test_what_was_refused_leaves_its_identifier_free() -> None:
    world = with_100()
    world.when(spend(101)).then()
    world.when(spend(60)).then(spent(-60, balance=40))


def test_a_spend_repeated_moves_nothing_and_gets_the_first_answer() -> None:
    world = with_100(spend(30), spend(20, "spend-2"))
    happened = world.when(spend(30), spend(99), spend(30, reason="again"))
    happened.then_nothing_happened().answering(*[shown(30, 70, 0)] * 3)
    assert happened.counts["duplicates"] == 3


def test_an_identifier_is_one_of_its_type_alone() -> None:
    given(ann, big, event()).when(
        spend(10, "same"), adjust(-10, "same"), hold(10, "same"), redeem(10, "same")
    ).then(spent(-10), adjusted(-10), held(10), redeemed(-10, balance=70, held=10))


def test_a_group_is_spent_from_alone() -> None:
    spring = event_of("plant", reward={"default": 20}, challengeGroup="spring")
    world = given(ann, big, spring, event(), event("plant"))
    world.when(spend(21, challengeGroup="spring")).then()
    world.when(spend(20, challengeGroup="spring")).then(spent(-20, balance=0, totalBalance=100))


@pytest.mark.parametrize("who", [{"userId": "ben"}, {"userId": None, "memberId": ANN[:-1] + "0"}])
@pytest.mark.parametrize("what", [spend(1), hold(1), capture(), release(), adjust(1)])
def test_an_unknown_member_has_nothing_to_spend(what: Sent, who: dict[str, Any]) -> None:
    fields = {**_fields(what), **who}
    named = command(**{name: value for name, value in fields.items() if value is not None})
    given(ann).when(named).then(refused("unknown_member")).answering((404, {}))


def _fields(sent: Sent) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.json.decode(sent.value or b"")
    return {"type_": fields.pop("type"), **fields}


def test_a_deleted_member_spends_nothing() -> None:
    gone = command("delete-member", userId="ann")
    with_100(gone).when(spend(1)).then(refused("unknown_member"))


def test_a_paused_member_neither_spends_nor_holds_and_the_rest_goes_on() -> None:
    world = with_100(hold(20), hold(20, "hold-2"), paused())
    for sent in (spend(1), hold(1, "hold-3")):
        world.when(sent).then(refused("member_paused")).answering((409, {"code": "member_paused"}))
    world.when(capture(), release("hold-2"), adjust(-5)).then(
        captured(-20), released(20), adjusted(-5, balance=75)
    )


def test_a_repeat_is_told_apart_before_a_pause() -> None:
    with_100(spend(5), paused()).when(spend(5)).then().answering(shown(5, 95, 0))


@pytest.mark.parametrize("points", [0, -1, 10**12 + 1, 1.5, "5", None])
@pytest.mark.parametrize("make", [spend, hold])
def test_points_are_whole_and_within_the_limits(make: Any, points: Any) -> None:
    with_100().when(make(points)).then(refused("invalid", "points")).answering((400, {}))


def test_the_largest_amount_is_spent() -> None:
    world = given(ann, adjust(10**12), adjust(10**12, "adjust-2"))
    world.when(spend(10**12)).then(spent(-(10**12), balance=10**12))


def test_reasons_have_at_most_256_characters() -> None:
    with_100().when(spend(1, reason="x" * 257)).then(refused("invalid", "reason"))
    with_100().when(spend(1, reason="x" * 256)).then(spent(-1))


# Holds.


def test_a_hold_reserves_points_and_moves_none() -> None:
    happened = with_100().when(hold(30, until="2026-11-22T12:00:00+01:00", reason="cart"))
    happened.then(
        held(
            30,
            balance=100,
            held=30,
            available=70,
            holdIdentifier="hold-1",
            uniqueIdentifier="hold-1",
            reason="cart",
            hold={
                "holdIdentifier": "hold-1",
                "challengeGroup": "_default",
                "points": 30,
                "captured": 0,
                "status": "open",
                "until": "2026-11-22T11:00:00Z",
                "openedAt": NOW,
                "closedAt": None,
            },
        )
    ).answering(shown(30, 100, 30, until="2026-11-22T11:00:00Z"))
    assert "why" not in happened.envelopes[0]["data"]


def test_a_hold_lasts_seven_days_unless_it_says_otherwise() -> None:
    with_100().when(hold(1)).answering(shown(1, 100, 1, until="2026-11-28T12:00:00Z"))


@pytest.mark.parametrize(
    ("until", "good"),
    [
        ("2026-11-21T12:00:00.000001Z", True),
        ("2026-11-21T12:00:00Z", False),
        ("2026-11-20T12:00:00Z", False),
        ("2027-11-22T12:00:00Z", True),
        ("2027-11-22T12:00:00.000001Z", False),
        ("2027-01-01T12:00:00", False),
    ],
)
def test_a_hold_lies_ahead_at_most_366_days(until: str, good: bool) -> None:
    happened = with_100().when(hold(1, until=until))
    happened.then(held(1) if good else refused("invalid", "until"))


def test_a_hold_repeated_gets_the_first_answer_whatever_became_of_it() -> None:
    world = with_100(hold(30))
    again = hold(30, until="2026-11-20T00:00:00Z")
    first = shown(30, 100, 30, until="2026-11-28T12:00:00Z")
    world.when(again).then_nothing_happened().answering(first)
    world.and_given(capture()).when(again).then_nothing_happened().answering(first)


def test_what_is_held_is_not_spent_held_or_taken() -> None:
    world = with_100(hold(60))
    for sent in (spend(41), hold(41, "hold-2"), adjust(-41)):
        refusal = {"code": "insufficient_points", "asked": 41, "available": 40}
        world.when(sent).then().answering((409, refusal))
    world.when(spend(40)).then(spent(-40, balance=60, held=60, available=0))


def test_a_redemption_stops_at_what_is_held() -> None:
    world = with_100(hold(60))
    world.when(redeem(150)).then(redeemed(-150, balance=60, totalBalance=60, held=60))
    world.when(event()).then(logged(100), earned(100, balance=160, held=60))


def test_outputs_say_nothing_of_holds_where_there_are_none() -> None:
    world = with_100(hold(60))
    assert world.when(event()).of("points.granted")[0]["held"] == 60
    happened = world.and_given(release()).when(event(), redeem(5))
    (grant,), (redemption,) = happened.of("points.granted"), happened.of("points.redeemed")
    assert not {"held", "pending", "cut", "cutBy", "lots"} & (grant.keys() | redemption.keys())


def test_what_is_kept_of_a_group_is_its_balance_alone_where_nothing_is_held() -> None:
    world = with_100()
    before = dict(world.partition.entries)
    world.when(hold(60), release())
    assert (
        world.partition.entries[balances_key(ANN)]
        == before[balances_key(ANN)]
        == b'[{"_default":100}]'
    )


def test_a_capture_spends_what_is_held() -> None:
    happened = with_100(hold(30)).when(capture(reason="bought").arriving("2026-11-22T00:00:00Z"))
    happened.then(
        captured(
            -30,
            actionId="capture",
            balance=70,
            held=0,
            available=70,
            uniqueIdentifier="capture-1",
            holdIdentifier="hold-1",
            reason="bought",
            hold={"status": "captured", "captured": 30, "closedAt": "2026-11-22T00:00:00Z"},
        )
    ).answering(shown(30, 70, 0, uniqueIdentifier="capture-1"))


def test_what_a_capture_leaves_is_released() -> None:
    happened = with_100(hold(30)).when(capture(points=10))
    closed = {"status": "captured", "captured": 10, "points": 30}
    happened.then(
        captured(-10, balance=90, held=0, hold=closed),
        released(20, "captured", balance=90, held=0, holdIdentifier="hold-1", hold=closed),
    ).answering(shown(10, 90, 0))


def test_a_capture_takes_no_more_than_was_held() -> None:
    world = with_100(hold(30))
    world.when(capture(points=31)).then(refused("invalid", "points")).answering((400, {}))
    world.when(capture(points=30)).then(captured(-30))


def test_a_release_gives_back_what_was_held() -> None:
    happened = with_100(hold(30)).when(release(reason="left"))
    closed = {"status": "released", "captured": 0}
    happened.then(
        released(
            30, balance=100, held=0, available=100, hold=closed, reason="left",
            uniqueIdentifier="release-1",
        )
    ).answering(shown(30, 100, 0, uniqueIdentifier="release-1"))  # fmt: skip


@pytest.mark.parametrize("first", [capture(identifier="1"), release(identifier="1")])
@pytest.mark.parametrize("second", [capture(identifier="2"), release(identifier="2")])
def test_a_hold_is_closed_once(first: Sent, second: Sent) -> None:
    world = with_100(hold(30), first)
    answer = {"code": "hold_closed", "errors": [{"field": "holdIdentifier"}]}
    world.when(second).then(refused("hold_closed")).answering((409, answer))


def test_a_capture_repeated_gets_the_first_answer() -> None:
    world = with_100(hold(30), capture(points=10), spend(5))
    world.when(capture(), release(identifier="capture-1")).then(refused("hold_closed")).answering(
        shown(10, 90, 0), (409, {})
    )


@pytest.mark.parametrize("sent", [capture("hold-2"), release("hold-2")])
def test_an_unknown_hold_is_neither_captured_nor_released(sent: Sent) -> None:
    happened = with_100(hold(30)).when(sent)
    happened.then(refused("unknown_hold")).answering((404, {"code": "unknown_hold"}))


def test_a_hold_of_another_group_is_not_the_one_that_is_meant() -> None:
    world = with_100(hold(30))
    world.when(capture(challengeGroup="spring")).then(refused("invalid", "challengeGroup"))
    world.when(capture(challengeGroup="_default")).then(captured(-30))


def test_a_member_has_at_most_a_thousand_open_holds() -> None:
    holds = [hold(1, f"hold-{n}") for n in range(1000)]
    world = given(ann, adjust(2000), adjust(2000, "other", challengeGroup="spring"))
    assert len(world.when(*holds).of("points.held")) == 1000
    refusal = (409, {"code": "too_many_holds"})
    world.when(hold(1, "one-more")).then(refused("too_many_holds")).answering(refusal)
    other = hold(1, "one-more", challengeGroup="spring")
    world.when(other).then(refused("too_many_holds"))
    world.and_given(release("hold-7")).when(other).then(held(1, balance=2000, held=1))


def test_a_tick_releases_a_hold_whose_time_is_over() -> None:
    world = with_100(hold(30, until="2026-11-22T00:00:00Z"))
    world.when(tick("2026-11-21T23:59:59.999Z")).then_nothing_happened()
    happened = world.when(tick("2026-11-22T00:00:30Z"))
    at = "2026-11-22T00:00:00Z"
    happened.then(
        released(
            30, "lapsed", occurredAt=at, balance=100, held=0,
            hold={"status": "lapsed", "closedAt": at},
        )
    )  # fmt: skip
    assert happened.envelopes[0]["time"] == at
    assert "uniqueIdentifier" not in happened.envelopes[0]["data"]
    world.when(tick("2026-11-23")).then()
    world.when(capture()).then(refused("hold_closed"))


def test_until_its_tick_a_hold_is_captured() -> None:
    world = with_100(hold(30, until="2026-11-22T00:00:00Z"))
    late = capture().arriving("2026-11-22T00:00:00Z")
    world.when(late, tick("2026-11-22")).then(captured(-30, balance=70, held=0))
    world = with_100(hold(30, until="2026-11-22T00:00:00Z"))
    world.when(tick("2026-11-22"), late).then(released(30, "lapsed"), refused("hold_closed"))


@pytest.mark.parametrize("until", ["2026-11-22T00:00:00.400Z", "2026-11-22T00:00:00.400999Z"])
def test_in_the_second_in_which_a_hold_lapses_what_is_folded_first_counts(until: str) -> None:
    """Moments are looked at by the millisecond, and neither order takes or frees points twice."""
    late, over = capture().arriving("2026-11-22T00:00:00.900Z"), tick("2026-11-22T00:00:00.400Z")
    with_100(hold(30, until=until)).when(late, over).then(captured(-30, balance=70, held=0))
    happened = with_100(hold(30, until=until)).when(over, late)
    happened.then(released(30, "lapsed", balance=100, held=0), refused("hold_closed"))
    early = tick("2026-11-22T00:00:00.399Z")
    with_100(hold(30, until=until)).when(early, late, over).then(captured(-30, balance=70, held=0))


def test_the_holds_of_a_deleted_member_lapse() -> None:
    world = with_100(hold(30, until="2026-11-22T00:00:00Z"), command("delete-member", userId="ann"))
    world.when(tick("2026-11-23")).then(released(30, "lapsed", balance=100))


def test_a_closed_hold_is_not_due() -> None:
    happened = with_100(hold(30), hold(30, "hold-2"), capture()).when(release("hold-2"))
    assert not [key for key in happened.partition.entries if key.startswith(DUE.prefix)]


# Adjusting.


def test_points_are_given_by_hand() -> None:
    happened = given(ann).when(
        adjust(500, reason="moved from the old shop", actor="jo", occurredAt="2019-01-01T00:00:00Z")
    )
    happened.then(
        adjusted(
            500,
            actionId="adjust",
            balance=500,
            held=0,
            available=500,
            reason="moved from the old shop",
            actor="jo",
            occurredAt="2019-01-01T00:00:00Z",
            createdAt=NOW,
        )
    ).answering(shown(500, 500, 0))


def test_points_are_taken_by_hand_all_or_none() -> None:
    world = with_100()
    world.when(adjust(-101)).then().answering((409, {"asked": 101, "available": 100}))
    world.when(adjust(-100)).then(adjusted(-100, balance=0)).answering(shown(-100, 0, 0))


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("points", {"points": 0}),
        ("points", {"points": 10**12 + 1}),
        ("points", {"points": -(10**12) - 1}),
        ("reason", {"reason": None}),
        ("reason", {"reason": ""}),
        ("reason", {"reason": "x" * 257}),
        ("actor", {"actor": "x" * 257}),
        ("occurredAt", {"occurredAt": "2026-11-22T12:00:00.001Z"}),
        ("occurredAt", {"occurredAt": "2026-11-22T12:00:00"}),
        ("expiresAt", {"expiresAt": "2027-01-01T00:00:00"}),
        ("expiresAt", {"points": -5, "expiresAt": "2027-01-01T00:00:00Z"}),
        ("expiresAt", {"expiresAt": "2027-01-01T00:00:00Z"}),
        ("uniqueIdentifier", {"uniqueIdentifier": ""}),
        ("uniqueIdentifier", {"uniqueIdentifier": "x" * 513}),
    ],
)
def test_an_adjustment_that_is_none_is_refused(field: str, fields: dict[str, Any]) -> None:
    known: dict[str, Any] = {"points": 5} | fields
    sent = adjust(known.pop("points"), **known)
    happened = with_100().when(sent)
    assert [fact.type for fact in happened.facts] == ["refused"]
    assert happened.facts[0].data["reason"] in ("invalid", "malformed")
    assert happened.answers[0][0] == 400
    assert field in str(happened.answers[0][1])


# Together.


def test_concurrent_spends_never_take_more_than_there_is() -> None:
    spends = [spend(2, f"spend-{n}") for n in range(200)]
    happened = with_100().when(*spends)
    assert [status for status, _ in happened.answers] == [200] * 50 + [409] * 150
    assert happened.of("points.spent")[-1]["balance"] == 0


def test_it_does_not_matter_where_a_command_lies() -> None:
    away = Partition(0, 2)
    home = Partition(1, 2)
    if away.fold(ann).forwards == []:
        home, away = away, home
    (forward,) = away.fold(spend(5)).forwards
    from schemas.topics import FORWARDED

    home.fold(ann)
    home.define(big)
    home.fold(event())
    sent = Sent(FORWARDED, forward.value, forward.key, headers=tuple(forward.headers))
    home.fold(sent).then(spent(-5, balance=95)).answering(shown(5, 95, 0))


def test_a_command_with_a_version_waits_for_that_version() -> None:
    world = with_100()
    world.when(spend(5, ifVersion=2)).then_nothing_happened().answering((412, {}))
    world.when(spend(5, ifVersion=1)).then(spent(-5))
    world.when(spend(5, ifVersion=2)).then().answering(shown(5, 95, 0))

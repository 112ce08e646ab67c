"""Test clocks: projects whose clock is moved by hand (`schemas/README.md#test-clocks`)."""

from collections.abc import Mapping
from typing import Any

import pytest

from processor.domain.handlers import clocks
from processor.domain.state_kinds import CLOCK, CLOCK_DUE, DUE, MOVE, ON_CLOCK
from schemas.clocks import LAST, fault, furthest
from schemas.instants import parse_instant
from tests.event_spec import (
    advanced,
    broken,
    clock_to,
    earned,
    event,
    event_of,
    failed,
    logged,
    moved,
    streak_of,
    tick,
)
from tests.points_spec import hold, spend
from tests.spec import (
    ANN,
    Defined,
    Given,
    Happened,
    Partition,
    Sent,
    ann,
    ben,
    challenge,
    command,
    given,
    log,
    progress,
    project_settings,
    recorded,
    refused,
    upsert,
)

STARTS = "2026-11-21T11:59:00Z"
"""When ``tests.spec`` defines things: there a clock stands until it is moved."""
LIVE = "2031-05-05T00:00:00Z"
"""The records' own timestamps: long after all that the clocks of these tests show."""
manual = project_settings(clock="manual")
visit_of = event_of(reward={"default": 5})


def real(*records: Sent) -> list[Sent]:
    """The records as they arrive years later than the clock shows."""
    return [record.arriving(LIVE) for record in records]


def world(*definitions: Defined) -> Given:
    """A project on a test clock, with Ann in it."""
    return given(manual, *definitions, *real(ann))


def of_kind(partition: Partition, prefix: bytes) -> list[bytes]:
    return [key for key in partition.entries if key.startswith(prefix)]


def arrived(partition: Partition, happened: Happened) -> Happened:
    """Tick until no clock is on its way; return what the last tick led to."""
    for _ in range(1000):
        if not happened.effects.more_moves:
            return happened
        happened = partition.fold(tick(LIVE))
    raise AssertionError("the clock does not arrive")


# What a move does.


def test_a_move_does_what_is_due_until_then() -> None:
    happened = world(challenge()).and_given(*real(log("a", 30))).when(*real(clock_to("2026-11-22")))
    happened.then(
        failed(challengeFailedAt="2026-11-22T00:00:00Z", updatedAt=LIVE),
        moved("2026-11-22", partition=0, version=1),
    )


def test_time_itself_does_nothing_in_such_a_project() -> None:
    world(challenge()).and_given(*real(log("a", 30))).when(tick(LIVE)).then_nothing_happened()


def test_a_move_of_another_project_does_nothing_here() -> None:
    other = project_settings("other", clock="manual")
    happened = world(challenge(), other).and_given(*real(log("a", 30)))
    happened.when(*real(clock_to("2026-12-24", "other"))).then(moved("2026-12-24"))


def test_what_is_due_is_done_in_the_order_of_its_own_moments() -> None:
    """Each output is of the moment that it was due, and of no other."""
    partition = world(challenge(), visit_of, streak_of()).partition
    partition.fold(*real(log("a", 30), event("visit", STARTS)))
    partition.fold(*real(clock_to("2026-11-21T20:00:00Z"), hold(5)))
    happened = partition.fold(*real(clock_to("2027-11-21")))
    times = sorted((e["time"], e["type"]) for e in happened.envelopes)
    assert [time for time, _ in times] == [
        "2026-11-22T00:00:00Z",
        "2026-11-23T00:00:00Z",
        "2026-11-28T20:00:00Z",
        "2027-11-21T00:00:00Z",
    ]


def test_the_same_moment_again_does_what_came_late() -> None:
    partition = world(challenge()).partition
    partition.fold(*real(clock_to("2026-12-01")))
    partition.fold(*real(log("late", 30)))  # of 21 November, which is over
    happened = partition.fold(*real(clock_to("2026-12-01")))
    happened.then(failed(challengeFailedAt="2026-11-22T00:00:00Z"), moved("2026-12-01", version=2))
    partition.fold(*real(clock_to("2026-12-01"))).then(moved("2026-12-01", version=3))


def test_a_clock_goes_forward_only() -> None:
    partition = world().partition
    partition.fold(*real(clock_to("2026-12-01")))
    for at in ("2026-11-30T23:59:59Z", "9998-12-31T00:00:01Z"):
        happened = partition.fold(*real(clock_to(at)))
        happened.then()
        assert happened.counts["clock_refused"] == 1
    partition.fold(*real(clock_to("2031-12-01"))).then(moved("2031-12-01", version=2))


def test_a_partition_that_missed_a_call_takes_the_next() -> None:
    """Each call goes less than five years beyond the one before it, which came to other partitions
    only."""
    partition = world(challenge()).and_given(*real(log("a", 30))).partition
    partition.fold(*real(clock_to("2032-01-01"))).then(failed(), moved("2032-01-01", version=1))


def test_one_call_moves_a_clock_by_five_years_at_most() -> None:
    now = parse_instant("2026-12-01T00:00:00Z")
    assert fault(now, parse_instant("2031-12-01T00:00:00Z")) is None
    assert fault(now, parse_instant("2031-12-01T00:00:01Z"))
    assert fault(now, parse_instant("2026-11-30T23:59:59Z"))


def test_five_years_after_a_29_february_are_a_28th() -> None:
    assert furthest(parse_instant("2028-02-29T12:00:00Z")) == parse_instant("2033-02-28T12:00:00Z")
    for late in ("9993-12-31T12:00:00Z", "9997-02-28T12:00:00Z"):  # the fold takes no later one
        assert furthest(parse_instant(late)) == LAST
    assert fault(parse_instant("2028-02-29T12:00:00Z"), parse_instant("2033-03-01T00:00:00Z"))


def test_a_live_project_has_no_clock_to_move() -> None:
    happened = given(ann, challenge(), log("a", 30)).when(clock_to("2026-12-01"))
    happened.then()
    assert happened.counts["clock_refused"] == 1
    assert set(happened.effects.writes) == {b"o"}


@pytest.mark.parametrize(
    "value",
    [
        b'{"project":"default","now":"2026-12-01T00:00:00"}',
        b'{"project":"default"}',
        b'{"now":"2026-12-01T00:00:00Z"}',
        b'{"project":"No Project","now":"2026-12-01T00:00:00Z"}',
        b'{"project":"default","now":5}',
    ],
)
def test_a_control_record_that_is_none_is_a_dead_letter(value: bytes) -> None:
    world().when(Sent("ticks", value, headers=())).then(refused("invalid"))


def test_two_moves_at_once_end_at_the_later_moment_on_every_partition() -> None:
    for first, second in (("2026-12-01", "2026-12-09"), ("2026-12-09", "2026-12-01")):
        partition = world(challenge()).and_given(*real(log("a", 30))).partition
        partition.fold(*real(clock_to(first), clock_to(second)))
        (key,) = of_kind(partition, CLOCK.prefix)
        assert CLOCK.decode(partition.entries[key]).shows == parse_instant("2026-12-09T00:00:00Z")


# In pieces.


def crowd(partition: Partition, count: int) -> None:
    """Have so many members begin a challenge each."""
    logs = [log(f"log-{n}", 30, ownedBy={"externalId": f"user-{n}"}) for n in range(count)]
    partition.fold(*real(*logs))


def test_many_dues_behind_one_move_go_in_pieces() -> None:
    partition = world(challenge()).partition
    crowd(partition, 3 * clocks.MAX_DUES + 1)
    happened = partition.fold(*real(clock_to("2027-11-21")))
    pieces = [happened]
    while happened.effects.more_moves:
        assert len(happened.of("challenge.failed")) == clocks.MAX_DUES
        assert not happened.of("clock.moved")
        happened = partition.fold(tick(LIVE))
        pieces.append(happened)
    assert len(happened.of("challenge.failed")) == 1
    assert [fact["now"] for fact in happened.of("clock.moved")] == ["2027-11-21T00:00:00Z"]
    assert len(pieces) == 4
    assert not of_kind(partition, CLOCK_DUE.prefix) + of_kind(partition, MOVE.prefix)


def test_many_dues_as_many_as_one_piece_takes_are_one_piece() -> None:
    partition = world(challenge()).partition
    crowd(partition, clocks.MAX_DUES)
    happened = partition.fold(*real(clock_to("2027-11-21")))
    assert not happened.effects.more_moves
    assert len(happened.of("clock.moved")) == 1


def test_a_clock_on_its_way_shows_the_moment_that_it_has_reached() -> None:
    partition = world(challenge(), visit_of).partition
    crowd(partition, clocks.MAX_DUES + 1)
    assert partition.fold(*real(clock_to("2027-11-21"))).effects.more_moves
    partition.fold(*real(event("visit"))).then(
        logged(5, occurredAt="2026-11-22T00:00:00Z"), earned(5)
    )


def test_a_clock_on_its_way_can_be_sent_further() -> None:
    partition = world(challenge()).partition
    crowd(partition, clocks.MAX_DUES + 1)
    partition.fold(*real(clock_to("2026-12-01")))
    happened = arrived(partition, partition.fold(*real(clock_to("2026-12-09"))))
    happened.then(failed(), moved("2026-12-09"))


@pytest.mark.parametrize("again", ["2027-11-21", "2027-12-21"])
def test_a_call_that_finds_a_move_under_way_does_what_came_late_meanwhile(again: str) -> None:
    partition = world(challenge()).partition
    crowd(partition, clocks.MAX_DUES + 1)
    assert partition.fold(*real(clock_to("2027-11-21"))).effects.more_moves
    partition.fold(*real(log("late", 30, activityAt="2026-11-20T12:00:00Z")))
    happened = [partition.fold(*real(clock_to(again)))]
    while happened[-1].effects.more_moves:
        happened.append(partition.fold(tick(LIVE)))
    ends = [fact["challengeFailedAt"] for each in happened for fact in each.of("challenge.failed")]
    assert sorted(ends) == ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"]


def test_projects_that_move_at_once_share_what_a_chunk_does() -> None:
    partition = world(challenge(), project_settings("other", clock="manual")).partition
    partition.define(challenge(project="other"))
    crowd(partition, clocks.MAX_DUES)
    logs = [
        log(f"log-{n}", 30, project="other", ownedBy={"externalId": f"user-{n}"})
        for n in range(clocks.MAX_DUES)
    ]
    partition.fold(*real(*logs))
    happened = partition.fold(*real(clock_to("2027-11-21"), clock_to("2027-11-21", "other")))
    assert len(happened.of("challenge.failed")) == clocks.MAX_DUES
    last = arrived(partition, happened)
    assert last.of("clock.moved")
    assert not of_kind(partition, MOVE.prefix)


def test_live_dues_wait_for_no_move() -> None:
    partition = world(challenge()).partition
    partition.define(challenge(project="shop"))
    crowd(partition, 2 * clocks.MAX_DUES)
    partition.fold(log("live", 30, project="shop", ownedBy={"externalId": "eve"}))
    happened = partition.fold(*real(clock_to("2027-11-21")), tick(LIVE))
    assert sum(f["project"] == "shop" for f in projects_of(happened)) == 1


def projects_of(happened: Happened) -> list[Mapping[str, Any]]:
    return [
        {"project": e["source"].rpartition("/")[2]}
        for e in happened.envelopes
        if e["type"] == "milestream.challenge.failed.v1"
    ]


# Who goes by a clock.


def test_a_member_keeps_the_clock_that_its_project_had_when_it_was_made() -> None:
    partition = world(challenge()).partition
    partition.define(project_settings(clock="live"))
    partition.fold(*real(log("a", 30), log("b", 30, ownedBy={"externalId": "ben"})))
    assert len(of_kind(partition, CLOCK_DUE.prefix)) == 1  # Ann's
    assert len(of_kind(partition, DUE.prefix)) == 1  # Ben's
    assert len(of_kind(partition, ON_CLOCK.prefix)) == 1
    live = partition.fold(tick(LIVE))
    assert [f["ownedById"] != ANN for f in live.of("challenge.failed")] == [True]
    moved_ = partition.fold(*real(clock_to("2027-01-01")))
    assert [f["ownedById"] == ANN for f in moved_.of("challenge.failed")] == [True]


def test_a_member_made_before_the_clock_goes_by_time_itself() -> None:
    partition = given(ann, challenge(), manual, log("a", 30)).partition
    partition.fold(clock_to("2026-12-01")).then(moved("2026-12-01"))
    partition.fold(tick("2026-11-22T00:00:01Z")).then(failed())


def test_a_project_that_is_gone_leaves_its_members_the_clock() -> None:
    partition = world(challenge()).and_given(*real(log("a", 30))).partition
    partition.define(manual.deleted())
    partition.fold(tick(LIVE)).then_nothing_happened()
    partition.fold(*real(clock_to("2026-11-22"))).then(failed(), moved("2026-11-22"))


def test_a_changed_definition_does_not_move_the_clock() -> None:
    partition = world(visit_of).partition
    partition.definitions.apply(
        manual.key, manual.but(timezone="Europe/Berlin").value, 99, 1_800_000_000_000
    )
    partition.fold(*real(upsert("ben"), event("visit", userId="ben")))
    happened = partition.fold(*real(event("visit")))
    assert happened.of("event.logged")[0]["occurredAt"] == STARTS


def test_a_member_that_comes_late_waits_for_a_minute_of_time_itself() -> None:
    """Who waits is its sender, not the project."""
    partition = given(manual, challenge()).partition
    partition.fold(log("a", 30).with_headers())
    partition.fold(*real(clock_to("2027-01-01"))).then(moved("2027-01-01"))
    partition.fold(tick("2026-11-21T12:00:10Z")).then()
    partition.fold(tick("2026-11-21T12:02:00Z")).then(refused("unknown_member"))


def test_a_deleted_member_that_comes_back_keeps_its_clock() -> None:
    partition = world(challenge()).partition
    partition.define(project_settings(clock="live"))
    partition.fold(*real(command("delete-member", userId="ann"), ann, log("a", 30)))
    assert len(of_kind(partition, CLOCK_DUE.prefix)) == 1


# What goes by it.


def test_what_does_not_say_when_it_happened_happened_when_the_clock_shows() -> None:
    partition = world(visit_of, streak_of()).partition
    happened = partition.fold(*real(event("visit")))
    happened.then(
        logged(5, occurredAt=STARTS, localDate="2026-11-21", localHour=11, createdAt=LIVE),
        earned(5, occurredAt=STARTS, createdAt=LIVE),
        advanced(1, periodKey="2026-11-21", occurredAt=STARTS, createdAt=LIVE),
    )
    (answer,) = [body for _, body in partition.fold(*real(spend(2, "s"))).answers]
    assert answer["points"] == 2


def test_a_hold_lapses_by_the_clock() -> None:
    partition = world(visit_of).and_given(*real(event("visit"))).partition
    ((_, body),) = partition.fold(*real(hold(3))).answers
    assert body["until"] == "2026-11-28T11:59:00Z"
    happened = partition.fold(*real(clock_to("2026-11-28T11:59:00Z")))
    assert [fact["why"] for fact in happened.of("points.released")] == ["lapsed"]


def test_the_24_hours_are_counted_from_what_the_clock_shows() -> None:
    partition = world(challenge(), visit_of).partition
    ahead = "2026-11-22T11:59:01Z"
    partition.fold(*real(log("a", 30, activityAt=ahead))).then(refused("invalid", "activityAt"))
    partition.fold(*real(event("visit", ahead))).then(refused("invalid", "occurredAt"))
    partition.fold(*real(clock_to("2026-11-21T12:00:00Z")))
    partition.fold(*real(log("a", 30, activityAt=ahead))).then(recorded(progress(30)))


def test_a_streak_breaks_by_the_clock() -> None:
    partition = world(visit_of, streak_of()).and_given(*real(event("visit"))).partition
    partition.fold(*real(clock_to("2026-11-22T23:59:59Z"))).then(moved("2026-11-22T23:59:59Z"))
    partition.fold(*real(clock_to("2026-11-23"))).then(
        broken("2026-11-22", occurredAt="2026-11-23T00:00:00Z"), moved("2026-11-23")
    )


def test_live_projects_keep_no_entry_of_clocks() -> None:
    partition = given(ann, ben, challenge(), visit_of).partition
    partition.fold(log("a", 30), event("visit"), tick("2026-11-23"))
    for kind in (CLOCK, MOVE, ON_CLOCK, CLOCK_DUE):
        assert not of_kind(partition, kind.prefix)

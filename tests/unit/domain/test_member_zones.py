"""`timezone: member`: periods begin in the member's own zone (contract-2, section 11)."""

from typing import Any

import pytest

from processor.domain.effects import Effects
from processor.domain.fast_path import COMPILED
from processor.domain.inputs import Place
from processor.domain.working_set import WorkingSet
from schemas import ids
from tests.event_spec import STREAK, event, event_of, streak_of, tick, visit
from tests.spec import (
    Given,
    Happened,
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

BERLIN, NEW_YORK, TOKYO, APIA = (
    "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Apia",
)  # fmt: skip
OWN = challenge(timezone="member", completionTargetValue=100)
NIGHT = "2026-11-20T23:30:00Z"  # the 21st in Berlin and Tokyo, the 20th in New York


def lives_in(zone: str | None) -> Any:
    """The command that says where Ann lives."""
    return upsert("ann", timezone=zone)


def periods(happened: Happened) -> list[tuple[str, str]]:
    """Return period and zone of each log's progress."""
    shown = [each["challengeProgress"] for each in happened.of("challenge_log.recorded")]
    return [(each["periodKey"], each["timezone"]) for each in shown]


@pytest.mark.parametrize(
    ("project", "own", "expected"),
    [
        (None, BERLIN, ("2026-11-21", BERLIN)),
        (None, NEW_YORK, ("2026-11-20", NEW_YORK)),
        (None, None, ("2026-11-20", "UTC")),
        (TOKYO, None, ("2026-11-21", TOKYO)),
        (TOKYO, NEW_YORK, ("2026-11-20", NEW_YORK)),
        ("member", None, ("2026-11-20", "UTC")),
        ("member", BERLIN, ("2026-11-21", BERLIN)),
    ],
)
def test_a_period_is_named_by_the_member_s_zone_else_the_project_s_else_utc(
    project: str | None, own: str | None, expected: tuple[str, str]
) -> None:
    settings = [] if project is None else [project_settings(timezone=project)]
    world = given(*settings, OWN, lives_in(own))
    assert periods(world.when(log("a", 5, activityAt=NIGHT))) == [expected]


def test_a_challenge_without_a_zone_takes_its_project_s_and_its_own_comes_first() -> None:
    for zone, expected in ((None, ("2026-11-21", BERLIN)), ("UTC", ("2026-11-20", "UTC"))):
        world = given(
            project_settings(timezone="member"), challenge(timezone=zone), lives_in(BERLIN)
        )
        assert periods(world.when(log("a", 5, activityAt=NIGHT))) == [expected]


def test_a_log_that_says_where_its_member_lives_counts_there() -> None:
    owner = {"externalId": "ann", "timezone": BERLIN}
    world = given(OWN, lives_in(NEW_YORK))
    happened = world.when(
        log("a", 5, activityAt=NIGHT, ownedBy=owner),
        log("b", 5, activityAt=NIGHT, ownedBy={"externalId": "ann"}),
        log("c", 5, activityAt=NIGHT, ownedBy={"externalId": "ann", "timezone": None}),
    )
    assert periods(happened) == [
        ("2026-11-21", BERLIN), ("2026-11-21", BERLIN), ("2026-11-20", "UTC"),
    ]  # fmt: skip


def test_a_repeated_log_moves_nobody_and_gets_its_first_answer() -> None:
    world = given(OWN, lives_in(BERLIN), log("a", 5, activityAt=NIGHT), lives_in(NEW_YORK))
    owner = {"externalId": "ann", "timezone": TOKYO}
    happened = world.when(log("a", 7, activityAt=NIGHT, ownedBy=owner))
    happened.then_nothing_happened()
    ((status, body),) = happened.answers
    assert (status, body["record"]["challengeProgress"]["periodKey"]) == (409, "2026-11-21")


def test_a_refused_log_moves_nobody() -> None:
    owner = {"externalId": "ann", "timezone": TOKYO}
    given(OWN, lives_in(BERLIN)).when(log("a", activityAt=NIGHT, ownedBy=owner)).then(
        refused("invalid", "activityValue")
    )


def test_a_progress_keeps_the_zone_that_it_began_with_and_the_next_has_the_new_one() -> None:
    world = given(OWN, lives_in(BERLIN), log("a", 5, activityAt="2026-11-21T10:00:00Z"))
    moved = world.and_given(lives_in(NEW_YORK)).when(
        log("b", 6, activityAt="2026-11-21T11:00:00Z"),  # found under its name
        log("c", 7, activityAt="2026-11-22T04:59:59Z"),  # still the 21st in New York
        log("d", 8, activityAt="2026-11-22T05:00:00Z"),
    )
    moved.then(recorded(progress(11)), recorded(progress(18)), recorded(progress(8)))
    assert periods(moved) == [
        ("2026-11-21", BERLIN), ("2026-11-21", BERLIN), ("2026-11-22", NEW_YORK),
    ]  # fmt: skip


def test_a_progress_fails_at_the_end_of_the_zone_that_it_began_with() -> None:
    world = given(OWN, lives_in(BERLIN), log("a", 5), lives_in(NEW_YORK))
    world.when(tick("2026-11-21T22:59:59Z")).then()
    (failed,) = world.when(tick("2026-11-21T23:00:00Z")).of("challenge.failed")
    assert failed["challengeFailedAt"] == "2026-11-21T23:00:00Z"


@pytest.mark.parametrize(
    ("day", "last"),
    [
        ("2026-03-29", "2026-03-29T21:59:59Z"),  # 23 hours: clocks go forward
        ("2026-10-25", "2026-10-25T22:59:59Z"),  # 25 hours: clocks go back
    ],
)
def test_a_day_of_23_or_25_hours_is_one_day(day: str, last: str) -> None:
    hours = {"2026-03-29": "2026-03-28T23:00:00Z", "2026-10-25": "2026-10-24T22:00:00Z"}
    world = given(OWN, lives_in(BERLIN))
    logs = [log("a", 5, activityAt=hours[day]), log("b", 5, activityAt=last)]
    happened = world.when(*logs)
    assert periods(happened) == [(day, BERLIN)] * 2
    happened.then(recorded(progress(5)), recorded(progress(10)))


def test_a_member_that_moves_at_midnight_has_the_day_again_and_never_loses_one() -> None:
    # 00:00 of the 22nd in Berlin is 18:00 of the 21st in New York.
    world = given(
        OWN, lives_in(BERLIN), log("a", 5, activityAt="2026-11-21T22:59:59Z"), lives_in(NEW_YORK)
    )
    happened = world.when(log("b", 5, activityAt="2026-11-21T23:00:00Z"))
    assert periods(happened) == [("2026-11-21", BERLIN)]
    # And 00:00 of the 21st in New York is 14:00 of the 21st in Tokyo.
    world = given(
        OWN, lives_in(NEW_YORK), log("a", 5, activityAt="2026-11-21T04:59:59Z"), lives_in(TOKYO)
    )
    happened = world.when(log("b", 5, activityAt="2026-11-21T05:00:00Z"))
    assert periods(happened) == [("2026-11-21", TOKYO)]


def test_every_member_has_its_own_day() -> None:
    logs = [
        log(name, 5, activityAt=NIGHT, ownedBy={"externalId": name, "timezone": zone})
        for name, zone in (("ann", BERLIN), ("ben", NEW_YORK), ("cyd", APIA))
    ]
    assert periods(given(OWN).when(*logs)) == [
        ("2026-11-21", BERLIN), ("2026-11-20", NEW_YORK), ("2026-11-21", APIA),
    ]  # fmt: skip


def test_a_deleted_member_has_no_zone_any_more() -> None:
    world = given(OWN, lives_in(BERLIN), command("delete-member", userId="ann"))
    happened = world.when(log("a", 5, activityAt=NIGHT, ownedBy={"externalId": "ann"}))
    assert periods(happened) == [("2026-11-20", "UTC")]


def test_the_fast_path_leaves_such_logs_to_python() -> None:
    if COMPILED is None:
        pytest.skip("it was not compiled")
    for zone, taken in (("member", False), (BERLIN, True), (None, True)):
        world = given(challenge(timezone=zone), lives_in(BERLIN))
        (record,) = world.partition.placed(log("a", 5, activityAt=NIGHT).with_headers())
        entries = WorkingSet(world.partition.load, world.partition.scan)
        fast = COMPILED(Place(0, 1, {}), world.partition.definitions, entries, Effects())
        assert (fast.read(record.topic, record) is not None) == taken


# Events: limits, statistics, what they feed.


def test_a_limit_s_period_goes_by_the_member_and_statistics_by_the_project() -> None:
    visit_of = event_of(limit=1, limitPeriod="daily")
    world = given(project_settings(timezone="member"), visit_of, lives_in(NEW_YORK))
    happened = world.when(
        event("visit", "2026-11-20T04:00:00Z"),  # the 19th in New York
        event("visit", "2026-11-20T12:00:00Z"),
        event("visit", "2026-11-21T04:00:00Z"),  # still the 20th there
    )
    logged = happened.of("event.logged")
    assert [each["points"] for each in logged] == [5, 5, 0]
    assert [each["localDate"] for each in logged] == ["2026-11-20", "2026-11-20", "2026-11-21"]
    assert [each["localHour"] for each in logged] == [4, 12, 4]


def test_an_event_feeds_the_period_of_its_member_s_zone() -> None:
    fed = challenge(timezone="member", eventIds=["visit"])
    world = given(event_of(), fed, lives_in(BERLIN))
    assert periods(world.when(event("visit", NIGHT))) == [("2026-11-21", BERLIN)]


# Streaks.


def streak_world(*zones: str | None) -> Given:
    """Ann, where she lives, and a streak that goes by that."""
    return given(event_of(), streak_of(timezone="member"), *map(lives_in, zones))


def keys(happened: Happened, type_: str = "streak.advanced") -> list[tuple[str, int]]:
    """Return the period and the current length of each event of a streak."""
    return [(each["periodKey"], each["currentLength"]) for each in happened.of(type_)]


def test_a_streak_s_hit_has_the_day_of_its_member_and_keeps_it() -> None:
    world = streak_world(BERLIN)
    assert keys(world.when(visit(NIGHT))) == [("2026-11-21", 1)]
    moved = world.and_given(lives_in(NEW_YORK))
    happened = moved.when(
        visit("2026-11-21T20:00:00Z"),  # the 21st there too: hit before
        visit("2026-11-22T04:59:59Z"),  # and still
        visit("2026-11-22T05:00:00Z"),
    )
    assert keys(happened) == [("2026-11-22", 2)]
    assert happened.of("streak.advanced")[0]["timezone"] == NEW_YORK


def test_a_streak_breaks_by_the_zone_in_force() -> None:
    world = streak_world(BERLIN)
    world.when(visit("2026-11-21T10:00:00Z"))
    moved = world.and_given(lives_in(NEW_YORK))
    moved.when(tick("2026-11-22T23:00:00Z")).then()  # the 22nd goes on in New York
    moved.when(tick("2026-11-23T04:59:59Z")).then()
    broken = moved.when(tick("2026-11-23T05:00:00Z"))
    assert keys(broken, "streak.broken") == [("2026-11-22", 0)]
    assert broken.envelopes[0]["time"] == "2026-11-23T05:00:00Z"


def test_a_streak_that_moved_east_breaks_with_the_next_record_at_the_latest() -> None:
    world = streak_world(NEW_YORK)
    world.when(visit("2026-11-21T10:00:00Z"))
    moved = world.and_given(lives_in(TOKYO))
    happened = moved.when(visit("2026-11-22T15:00:00Z"))  # the 23rd in Tokyo
    assert keys(happened, "streak.broken")[0][0] == "2026-11-22"
    assert keys(happened) == [("2026-11-23", 1)]


def test_a_streak_with_a_zone_of_its_own_keeps_it() -> None:
    world = given(event_of(), streak_of(timezone=BERLIN), lives_in(NEW_YORK), visit(NIGHT))
    happened = world.when(visit("2026-11-21T23:00:00Z"))
    assert keys(happened) == [("2026-11-22", 2)]


def test_days_that_a_zone_skipped_move_with_the_streak() -> None:
    # Samoa had no 30 December 2011: its 29th and 31st follow each other.
    world = streak_world(APIA)
    first = world.when(visit("2011-12-30T09:00:00Z"), visit("2011-12-31T09:00:00Z"))
    assert keys(first) == [("2011-12-29", 1), ("2011-12-31", 2)]
    moved = world.and_given(lives_in("UTC")).when(visit("2012-01-01T12:00:00Z"))
    assert keys(moved)[0][0] == "2012-01-01"
    back = world.and_given(lives_in(APIA)).when(visit("2012-01-01T20:00:00Z"))
    assert keys(back)[0] == ("2012-01-02", 4)


def test_the_streak_is_the_member_s_own() -> None:
    (advanced,) = streak_world(BERLIN).when(visit(NIGHT)).of("streak.advanced")
    assert (advanced["streakId"], advanced["ownedById"]) == (
        STREAK, ids.member_id("default", "ann"),
    )  # fmt: skip

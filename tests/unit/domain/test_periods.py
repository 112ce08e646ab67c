"""Which period a log counts in (`schemas/README.md#times-numbers-texts`)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processor.domain.aggregates.period import local_date, period_end, period_key
from tests.spec import ann, challenge, given, log, progress, project_settings, recorded, upsert


def in_period(key: str, value: int = 1, **fields: Any) -> dict[str, Any]:
    return progress(value, periodKey=key, **fields)


@pytest.mark.parametrize(
    ("period", "key"),
    [
        ("daily", "2026-11-21"),
        ("weekly", "2026-W47"),
        ("monthly", "2026-11"),
        ("yearly", "2026"),
        ("all_time", "all"),
    ],
)
def test_each_period_has_the_key_of_the_calendar(period: str, key: str) -> None:
    given(ann, challenge(aggregationPeriod=period)).when(log("a", 1)).then(
        recorded(in_period(key, aggregationPeriod=period))
    )


def test_a_challenge_is_daily_where_it_says_nothing() -> None:
    given(ann, challenge()).when(log("a", 1)).then(recorded(in_period("2026-11-21")))


def test_the_challenges_zone_goes_before_the_projects_and_that_before_utc() -> None:
    late = "2026-11-20T23:30:00Z"
    new_york = challenge(timezone="America/New_York")
    world = given(ann, challenge())
    world.when(log("utc", 1, activityAt=late)).then(
        recorded(in_period("2026-11-20", timezone="UTC"))
    )
    world.and_given(project_settings(timezone="Europe/Berlin")).when(
        log("project", 1, activityAt=late)
    ).then(recorded(in_period("2026-11-21", timezone="Europe/Berlin")))
    world.and_given(new_york).when(log("challenge", 1, activityAt="2026-11-20T04:30:00Z")).then(
        recorded(in_period("2026-11-19", timezone="America/New_York"))
    )


def test_a_member_s_own_zone_plays_no_part() -> None:
    in_tokyo = upsert("ann", timezone="Asia/Tokyo")
    given(in_tokyo, challenge()).when(log("a", 1, activityAt="2026-11-20T23:30:00Z")).then(
        recorded(in_period("2026-11-20"))
    )


def test_the_offset_of_a_time_only_says_which_moment_it_is() -> None:
    given(ann, challenge()).when(log("a", 1, activityAt="2026-11-21T00:30:00+02:00")).then(
        recorded(in_period("2026-11-20"), activityAt="2026-11-20T22:30:00Z")
    )


def test_a_late_log_counts_in_its_own_period() -> None:
    given(ann, challenge(), log("today", 5)).when(
        log("late", 7, activityAt="2026-11-19T10:00:00Z"), log("again", 1)
    ).then(recorded(in_period("2026-11-19", 7)), recorded(in_period("2026-11-21", 6)))


def test_a_target_is_of_one_period() -> None:
    given(ann, challenge(), log("a", 60)).when(
        log("b", 60, activityAt="2026-11-20T10:00:00Z")
    ).then(recorded(in_period("2026-11-20", 60)))


@pytest.mark.parametrize(
    ("moment", "key"),
    [
        ("2027-01-01T12:00:00+00:00", "2026-W53"),
        ("2027-01-03T23:59:59+00:00", "2026-W53"),
        ("2027-01-04T00:00:00+00:00", "2027-W01"),
        ("2024-12-30T00:00:00+00:00", "2025-W01"),
        ("2021-01-03T00:00:00+00:00", "2020-W53"),
    ],
)
def test_weeks_are_iso_weeks_across_the_new_year(moment: str, key: str) -> None:
    assert period_key("weekly", "UTC", datetime.fromisoformat(moment)) == key


def test_a_day_of_23_or_25_hours_is_one_day() -> None:
    spring = [datetime(2026, 3, 28, 23, tzinfo=UTC) + timedelta(hours=h) for h in range(23)]
    autumn = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(hours=h) for h in range(25)]
    for moments, day in ((spring, "2026-03-29"), (autumn, "2026-10-25")):
        keys = [period_key("daily", "Europe/Berlin", moment) for moment in moments]
        assert set(keys) == {day}
        for outside in (moments[0] - timedelta(seconds=1), moments[-1] + timedelta(hours=1)):
            assert period_key("daily", "Europe/Berlin", outside) != day


@pytest.mark.parametrize(
    "moment",
    [
        "2010-11-07T02:40:00+00:00",  # the clocks went back from 00:01 to 23:01 the day before
        "2010-11-07T02:30:30+00:00",
        "1930-06-01T03:30:52+00:00",  # 3 hours, 30 minutes and 52 seconds behind
    ],
)
def test_a_change_of_the_clocks_within_a_quarter_of_an_hour_is_seen(moment: str) -> None:
    at = datetime.fromisoformat(moment)
    assert local_date("America/St_Johns", at) == at.astimezone(ZoneInfo("America/St_Johns")).date()


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_the_calendar_have_periods_too(zone: str, year: int) -> None:
    first_or_last = (
        datetime(year, 1, 1, tzinfo=UTC) if year == 1 else datetime.max.replace(tzinfo=UTC)
    )
    for period in ("daily", "weekly", "monthly", "yearly", "all_time"):
        assert period_key(period, zone, first_or_last)


@pytest.mark.parametrize(
    ("period", "key", "end"),
    [
        ("daily", "2026-03-29", "2026-03-29T22:00:00+00:00"),
        ("daily", "2026-10-25", "2026-10-25T23:00:00+00:00"),
        ("weekly", "2026-W53", "2027-01-03T23:00:00+00:00"),
        ("monthly", "2026-12", "2026-12-31T23:00:00+00:00"),
        ("yearly", "2026", "2026-12-31T23:00:00+00:00"),
    ],
)
def test_a_period_ends_at_the_first_midnight_after_it(period: str, key: str, end: str) -> None:
    assert period_end(period, "Europe/Berlin", key) == datetime.fromisoformat(end)


def test_all_time_has_no_end() -> None:
    assert period_end("all_time", "UTC", "all") is None


def test_a_period_ends_where_the_clocks_jump_over_midnight() -> None:
    end = period_end("daily", "America/Sao_Paulo", "2018-11-03")
    assert end == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert period_key("daily", "America/Sao_Paulo", end) == "2018-11-04"


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("at", ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
def test_a_log_at_the_end_of_the_calendar_stops_nothing(zone: str, at: str) -> None:
    given(ann, challenge(timezone=zone)).when(log("a", 1, activityAt=at), log("b", 1))


@pytest.mark.parametrize(
    ("period", "key"),
    [("daily", "9999-12-31"), ("weekly", "9999-W52"), ("monthly", "9999-12"), ("yearly", "9999")],
)
def test_the_calendar_s_last_periods_have_no_end(period: str, key: str) -> None:
    assert period_end(period, "UTC", key) is None

"""Streaks: consecutive periods, freezes, late events, milestones (`schemas/README.md#streaks`)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from processor.domain.aggregates import streak as streak_rules
from processor.domain.aggregates.period import skipped_days
from processor.domain.aggregates.streak import KEPT
from processor.domain.fast_path import MakeFastPath, fastest, in_python
from processor.domain.rules import Streak
from processor.domain.state_kinds import streak_hits_family, streak_hits_key, streak_key
from tests.event_spec import (
    STREAK,
    advanced,
    broken,
    earned,
    event_of,
    logged,
    purchase_of,
    streak_completed,
    streak_milestone,
    streak_of,
    tick,
    visit,
)
from tests.event_spec import event as sent
from tests.spec import (
    ANN,
    MILESTONE,
    Happened,
    Partition,
    ann,
    command,
    given,
    granted,
    numbered,
    project_settings,
    reached,
)

_AT = datetime(2026, 11, 21, tzinfo=UTC)

free = event_of(reward={"default": 0})
"""A visit without points, so that a streak's own events are all that happens besides."""


def of_streak(happened: Happened) -> list[tuple[str, str, int, bool]]:
    """Return the streak events: what, which period, current length, healed."""
    return [
        (fact.type.split(".")[1], fact.data["periodKey"], fact.data["currentLength"], healed)
        for fact in happened.facts
        if fact.type.startswith("streak.")
        for healed in [fact.data["healed"]]
    ]


def test_each_day_with_a_visit_makes_the_streak_longer() -> None:
    given(ann, free, streak_of()).when(visit("2026-11-02"), visit("2026-11-03")).then(
        logged(0),
        advanced(
            1,
            streakId=STREAK,
            userId="ann",
            ownedById=ANN,
            period="daily",
            timezone="UTC",
            periodKey="2026-11-02",
            runLength=1,
            longestLength=1,
            targetLength=5,
            freezesLeft=0,
            healed=False,
            status="active",
            completed=False,
            startedPeriodKey="2026-11-02",
            activeUntil="2026-11-04T00:00:00Z",
            occurredAt="2026-11-02T12:00:00Z",
        ),
        logged(0),
        advanced(2, periodKey="2026-11-03", activeUntil="2026-11-05T00:00:00Z", longestLength=2),
    )


def test_several_visits_in_a_period_count_once() -> None:
    given(ann, free, streak_of(), visit("2026-11-02")).when(
        visit("2026-11-02T23:59:59.999Z"), visit("2026-11-02T00:00:00Z")
    ).then(logged(0), logged(0))


def test_only_events_that_the_streak_names_count() -> None:
    given(ann, free, purchase_of(), streak_of()).when(sent("purchase")).then(logged(0))


def test_an_event_that_missed_its_conditions_does_not_count_one_over_its_limit_does() -> None:
    never = {"field": "amount", "operator": "exists"}
    given(ann, free.but(conditions=never), streak_of()).when(visit("2026-11-02")).then(
        logged(0, conditionReached=False)
    )
    given(ann, free.but(limit=1), streak_of(), visit("2026-11-02")).when(visit("2026-11-03")).then(
        logged(0, limitReached=True), advanced(2)
    )


def test_a_paused_member_s_visit_does_not_count() -> None:
    paused = command("update-member-status", userId="ann", status="paused")
    given(ann, paused, free, streak_of()).when(visit("2026-11-02")).then(logged(0))


def test_a_missed_day_breaks_the_run_and_the_next_visit_begins_another() -> None:
    happened = given(ann, free, streak_of(), visit("2026-11-02"), visit("2026-11-03")).when(
        visit("2026-11-05")
    )
    happened.then(
        logged(0),
        broken("2026-11-04", occurredAt="2026-11-05T00:00:00Z"),
        advanced(1, startedPeriodKey="2026-11-05", longestLength=2, healed=False),
    )


def test_a_tick_breaks_a_streak_when_the_next_period_is_over_and_only_then() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"))
    world.when(tick("2026-11-03T23:59:59.999Z")).then_nothing_happened()
    world.when(tick("2026-11-04")).then(
        broken(
            "2026-11-03",
            currentLength=0,
            runLength=1,
            status="broken",
            occurredAt="2026-11-04T00:00:00Z",
        )
    )
    world.when(tick("2026-11-05")).then_nothing_happened()
    world.when(visit("2026-11-07")).then(logged(0), advanced(1))


def test_a_late_event_heals_a_gap() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"), visit("2026-11-04"))
    late = sent("visit", "2026-11-03T10:00:00Z").arriving("2026-11-04T13:00:00Z")
    world.when(late).then(
        logged(0),
        advanced(
            3, healed=True, runLength=3, startedPeriodKey="2026-11-02", periodKey="2026-11-03"
        ),
    )


def test_a_late_event_that_only_makes_a_gap_smaller_heals_nothing_and_breaks_nothing_again() -> (
    None
):
    world = given(ann, free, streak_of(), visit("2026-11-02"), visit("2026-11-06"))
    late = sent("visit", "2026-11-03T10:00:00Z").arriving("2026-11-06T13:00:00Z")
    world.when(late).then(logged(0), advanced(1, healed=False, runLength=2))
    middle = sent("visit", "2026-11-04T10:00:00Z").arriving("2026-11-06T13:00:00Z")
    world.when(middle).then(logged(0), advanced(1, healed=False, runLength=3))
    last = sent("visit", "2026-11-05T10:00:00Z").arriving("2026-11-06T13:00:00Z")
    world.when(last).then(logged(0), advanced(5, healed=True), streak_completed())


def test_a_late_event_revives_a_streak_that_a_tick_broke() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"), tick("2026-11-04"))
    late = sent("visit", "2026-11-03T22:00:00Z").arriving("2026-11-04T08:00:00Z")
    world.when(late).then(logged(0), advanced(2, healed=True, status="active"))
    world.when(tick("2026-11-04T09:00:00Z")).then_nothing_happened()
    world.when(tick("2026-11-05")).then(broken("2026-11-04"))


def test_an_event_before_all_others_makes_no_gap_that_is_next_to_it() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-04"))
    early = sent("visit", "2026-11-03T10:00:00Z").arriving("2026-11-04T13:00:00Z")
    world.when(early).then(
        logged(0), advanced(2, healed=False, startedPeriodKey="2026-11-03", runLength=2)
    )


def test_a_freeze_bridges_a_missed_day_and_adds_no_length() -> None:
    given(ann, free, streak_of(freezes=1), visit("2026-11-02")).when(
        visit("2026-11-04"), visit("2026-11-06")
    ).then(
        logged(0),
        advanced(2, freezesLeft=0, startedPeriodKey="2026-11-02"),
        logged(0),
        broken("2026-11-05"),
        advanced(1, freezesLeft=1, startedPeriodKey="2026-11-06"),
    )


def test_freezes_put_off_the_break() -> None:
    world = given(ann, free, streak_of(freezes=2), visit("2026-11-02"))
    world.when(tick("2026-11-05T23:59:59Z")).then_nothing_happened()
    world.when(tick("2026-11-06")).then(broken("2026-11-03", freezesLeft=2))


def test_a_late_event_on_a_bridged_day_gives_the_freeze_back() -> None:
    world = given(ann, free, streak_of(freezes=1), visit("2026-11-02"), visit("2026-11-04"))
    late = sent("visit", "2026-11-03T10:00:00Z").arriving("2026-11-04T13:00:00Z")
    world.when(late).then(logged(0), advanced(3, healed=True, freezesLeft=1))


def test_a_late_event_in_a_gap_that_is_bridged_in_part_heals_it() -> None:
    joins = given(ann, free, streak_of(freezes=1), visit("2026-11-02"), visit("2026-11-05"))
    late = sent("visit", "2026-11-03T10:00:00Z").arriving("2026-11-05T13:00:00Z")
    joins.when(late).then(logged(0), advanced(3, healed=True, freezesLeft=0))
    bridged = given(ann, free, streak_of(freezes=2), visit("2026-11-02"), visit("2026-11-05"))
    bridged.when(late).then(logged(0), advanced(3, healed=True, freezesLeft=1))


def test_the_target_is_reached_once_a_run() -> None:
    world = given(ann, free, streak_of(targetLength=2), visit("2026-11-02"))
    world.when(visit("2026-11-03")).then(
        logged(0), advanced(2, status="completed", completed=True), streak_completed(runLength=2)
    )
    world.when(visit("2026-11-04")).then(logged(0), advanced(3, status="completed"))
    world.when(visit("2026-11-06"), visit("2026-11-07")).then(
        logged(0),
        broken("2026-11-05"),
        advanced(1, status="active", completed=True),
        logged(0),
        advanced(2, status="completed"),
        streak_completed(),
    )


def test_a_milestone_is_rewarded_once_a_run_with_its_points() -> None:
    world = given(ann, free, streak_of(), streak_milestone(2, points=30), visit("2026-11-02"))
    world.when(visit("2026-11-03")).then(
        logged(0),
        advanced(2),
        reached(linkedSchemaSlug="streak", linkedSchemaRecordId=STREAK, value=2),
        granted(linkedSchemaSlug="streak", linkedSchemaRecordId=STREAK),
        earned(30, actionId=f"milestone:{MILESTONE}"),
    )
    world.when(visit("2026-11-04")).then(logged(0), advanced(3))
    world.when(visit("2026-11-06")).then(logged(0), broken("2026-11-05"), advanced(1))
    world.when(visit("2026-11-07")).then(logged(0), advanced(2), reached(), granted(), earned(30))


def test_runs_that_merge_have_what_each_was_given() -> None:
    lower, higher = streak_milestone(2), streak_milestone(4, id_=numbered(12))
    world = given(ann, free, streak_of(targetLength=2), lower, higher)
    days = ("2026-11-02", "2026-11-03", "2026-11-05", "2026-11-06")
    world.and_given(*[visit(day) for day in days])
    late = sent("visit", "2026-11-04T10:00:00Z").arriving("2026-11-06T13:00:00Z")
    world.when(late).then(
        logged(0), advanced(5, healed=True), reached(numbered(12)), granted(numbered(12))
    )


def test_a_milestone_that_is_not_live_is_not_rewarded() -> None:
    given(ann, free, streak_of(), streak_milestone(1, status="paused")).when(
        visit("2026-11-02")
    ).then(logged(0), advanced(1))


@pytest.mark.parametrize(
    ("period", "first", "second", "keys"),
    [
        ("daily", "2026-12-31", "2027-01-01", ("2026-12-31", "2027-01-01")),
        ("weekly", "2026-12-28", "2027-01-04", ("2026-W53", "2027-W01")),
        ("weekly", "2026-12-27", "2027-01-03", ("2026-W52", "2026-W53")),
        ("weekly", "2024-12-29", "2024-12-30", ("2024-W52", "2025-W01")),
        ("monthly", "2026-12-01", "2027-01-31", ("2026-12", "2027-01")),
        ("monthly", "2028-01-31", "2028-02-29", ("2028-01", "2028-02")),
    ],
)
def test_the_end_of_a_year_is_no_gap(
    period: str, first: str, second: str, keys: tuple[str, str]
) -> None:
    given(ann, free, streak_of(period=period)).when(visit(first), visit(second)).then(
        logged(0), advanced(1, periodKey=keys[0]), logged(0), advanced(2, periodKey=keys[1])
    )


def test_a_week_has_its_53rd_only_in_a_year_that_has_one() -> None:
    given(ann, free, streak_of(period="weekly")).when(
        visit("2026-12-21"), visit("2027-01-04")
    ).then(
        logged(0),
        advanced(1, periodKey="2026-W52"),
        logged(0),
        broken("2026-W53", occurredAt="2027-01-04T00:00:00Z"),
        advanced(1, periodKey="2027-W01"),
    )


@pytest.mark.parametrize(
    ("zone", "days", "until"),
    [
        # Clocks go back on October 25th, a day of 25 hours, and forward on March 29th.
        ("Europe/Berlin", ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), "2026-10-27T23:00Z"),
        ("Europe/Berlin", ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), "2026-03-31T22:00Z"),
        ("America/New_York", ("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"), "2026-11-04T05:00Z"),
        # Midnight itself does not exist: the day begins at one.
        ("Africa/Cairo", ("2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z"), "2026-04-25T21:00Z"),
    ],
)
def test_days_of_23_and_25_hours_are_one_day_each(
    zone: str, days: tuple[str, str], until: str
) -> None:
    ends = until.replace("Z", ":00Z")
    world = given(ann, free, streak_of(timezone=zone))
    world.when(visit(days[0]), visit(days[1])).then(
        logged(0), advanced(1), logged(0), advanced(2, activeUntil=ends)
    )


def test_both_halves_of_the_hour_that_comes_twice_are_one_day() -> None:
    given(ann, free, streak_of(timezone="Europe/Berlin"), visit("2026-10-25T00:30:00Z")).when(
        visit("2026-10-25T01:30:00Z"), visit("2026-10-25T22:59:59Z")
    ).then(logged(0), logged(0))


def test_a_streak_without_a_zone_goes_by_the_projects() -> None:
    berlin = project_settings(timezone="Europe/Berlin")
    given(ann, free, berlin, streak_of()).when(visit("2026-11-02T23:30:00Z")).then(
        logged(0), advanced(1, periodKey="2026-11-03", timezone="Europe/Berlin")
    )


def test_a_tick_breaks_by_the_streaks_own_clock() -> None:
    world = given(
        ann, free, streak_of(timezone="Europe/Berlin", period="weekly"), visit("2026-10-12")
    )
    world.when(tick("2026-10-25T22:59:59Z")).then_nothing_happened()
    world.when(tick("2026-10-25T23:00:00Z")).then(
        broken("2026-W43", occurredAt="2026-10-25T23:00:00Z")
    )


def test_the_same_visits_in_any_order_lead_to_the_same_streak() -> None:
    days = [f"2026-11-{day:02d}" for day in (2, 3, 5, 6, 7, 10)]
    orders = (days, days[::-1], [days[i] for i in (3, 0, 5, 1, 4, 2)])
    states = []
    for order in orders:
        visits = [sent("visit", f"{d}T10:00:00Z").arriving("2026-11-11T00:00:00Z") for d in order]
        last = given(ann, free, streak_of(freezes=1)).when(*visits).of("streak.advanced")[-1]
        names = ("currentLength", "longestLength", "freezesLeft", "status", "startedPeriodKey")
        states.append({name: last[name] for name in names} | {"until": last["activeUntil"]})
    assert states[0] == states[1] == states[2]


def test_what_lies_before_all_that_is_remembered_changes_nothing() -> None:
    state = streak_rules.State(
        "daily", "UTC", _AT, _AT, hits=tuple((n, n) for n in range(10, 10 + 2 * KEPT, 2))
    )
    assert streak_rules.counts_nothing(state, 5)
    assert not streak_rules.counts_nothing(state, 11)


def looked_at(hits: int, freezes: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many runs are looked at for one hit more after so many that lie apart."""
    rules = Streak("s", "daily", 5, "UTC", freezes, 0)
    state = streak_rules.initial(rules, rules.timezone, _AT)
    for number in range(hits):
        fact = streak_rules.hit(state, 700_000 + number * (freezes + 2), rules)
        state = streak_rules.evolve(state, fact, rules, _AT)
    looks = []
    run = streak_rules._run

    def counted(*arguments: Any) -> Any:
        looks.append(arguments)
        return run(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(streak_rules, "_run", counted)
        for stretch in (state.hits[-1], state.hits[len(state.hits) // 2]):
            fact = streak_rules.hit(state, stretch[1] + 1, rules)
            after = streak_rules.evolve(state, fact, rules, _AT)
            streak_rules.decide(state, after, fact, rules)
    return len(looks)


@pytest.mark.parametrize("freezes", [0, 1])
def test_what_a_hit_costs_does_not_grow_with_the_streak(
    freezes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looked_at(KEPT, freezes, monkeypatch) == looked_at(10, freezes, monkeypatch)


def test_a_streak_that_was_kept_before_runs_were_goes_on() -> None:
    world = given(ann, free, streak_of(freezes=1), visit("2026-11-02"), visit("2026-11-04"))
    key = streak_key(ANN, STREAK)
    old = msgspec.json.decode(world.partition.entries[key])
    assert old[-3:] == [1, [date(2026, 11, 2).toordinal()], None]
    world.partition.entries[key] = msgspec.json.encode(old[:-3])
    world.when(visit("2026-11-05")).then(logged(0), advanced(3, periodKey="2026-11-05"))


def test_a_day_that_a_zone_skipped_is_not_missed() -> None:
    """Samoa crossed the date line: the day after 29 December 2011 was the 31st."""
    world = given(ann, free, streak_of(timezone="Pacific/Apia"), visit("2011-12-29T20:00:00Z"))
    world.when(tick("2011-12-30T10:00:01Z")).then()
    happened = world.when(visit("2011-12-30T12:00:00Z"))
    happened.then(logged(0), advanced(2, periodKey="2011-12-31"))
    assert happened.of("streak.advanced")[0]["activeUntil"] == "2012-01-01T10:00:00Z"
    world.when(visit("2012-01-01T00:00:00Z")).then(logged(0), advanced(3, periodKey="2012-01-01"))


def test_a_day_after_the_skipped_one_can_be_missed() -> None:
    world = given(ann, free, streak_of(timezone="Pacific/Apia"), visit("2011-12-29T20:00:00Z"))
    world.when(tick("2011-12-31T10:00:00Z")).then(broken("2011-12-31"))


def test_days_that_were_counted_before_keep_their_names() -> None:
    world = given(ann, free, streak_of(timezone="Pacific/Apia"))
    world.when(visit("2012-02-01T00:00:00Z"), visit("2012-02-02T00:00:00Z"))
    key = streak_key(ANN, STREAK)
    old = msgspec.json.decode(world.partition.entries[key])[:-3]
    old[4] = [[first + 1, last + 1] for first, last in old[4]]  # as they were numbered then
    world.partition.entries[key] = msgspec.json.encode(old)
    world.when(visit("2012-02-03T00:00:00Z")).then(logged(0), advanced(3, periodKey="2012-02-03"))


def test_days_that_were_counted_before_are_numbered_anew_once() -> None:
    """A tick that breaks the streak writes it, too."""
    world = given(ann, free, streak_of(timezone="Pacific/Apia"))
    world.when(visit("2012-02-01T00:00:00Z"), visit("2012-02-02T00:00:00Z"))
    key = streak_key(ANN, STREAK)
    old = msgspec.json.decode(world.partition.entries[key])[:-3]
    old[4] = [[first + 1, last + 1] for first, last in old[4]]  # as they were numbered then
    world.partition.entries[key] = msgspec.json.encode(old)
    world.when(tick("2012-02-04T12:00:00Z")).then(broken("2012-02-03"))
    world.when(visit("2012-02-02T05:00:00Z")).then(logged(0))


@pytest.mark.parametrize(
    ("zone", "skipped"),
    [
        ("Pacific/Apia", ["2011-12-30"]),
        ("Pacific/Kwajalein", ["1993-08-21"]),
        ("Pacific/Kiritimati", ["1994-12-31"]),
        ("Europe/Berlin", []),
        ("America/New_York", []),
        ("UTC", []),
    ],
)
def test_the_days_that_zones_skipped(zone: str, skipped: list[str]) -> None:
    assert [date.fromordinal(day).isoformat() for day in skipped_days(zone)] == skipped


class Read(Partition):
    """A partition that remembers what was read of its store, call by call."""

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries."""
        self.calls = [*getattr(self, "calls", []), list(keys)]
        return super().load(keys)


@pytest.mark.parametrize("fast_path", [fastest, in_python])
def test_how_many_events_hit_a_period_is_read_with_all_else(fast_path: MakeFastPath) -> None:
    partition = Read(fast_path=fast_path, compared=False)
    world = given(ann, free, streak_of(timezone="Asia/Tokyo"), partition=partition)
    world.when(visit("2026-11-02T16:00:00Z", idempotencyKey="a").with_headers())
    partition.calls = []
    world.when(visit("2026-11-03T14:59:00Z", idempotencyKey="b").with_headers())
    hits = streak_hits_key(streak_hits_family(ANN, STREAK), "2026-11-03")
    assert partition.entries[hits] == b"[1]"
    assert [hits in call for call in partition.calls] == [False, True]  # the first is the position

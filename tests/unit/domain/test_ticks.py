"""Ticks: what ends with a period, though no record comes (`schemas/README.md#what-time-does`)."""

from typing import Any

import pytest

from processor.domain.context import RecordContext
from processor.domain.handlers.period_ends import PeriodEnds
from processor.domain.handlers.ticks import MAX_DUES
from processor.domain.state_kinds import DUE, POSITION
from tests.event_spec import (
    advanced,
    broken,
    earned,
    event,
    event_of,
    failed,
    logged,
    streak_of,
    tick,
    visit,
)
from tests.spec import (
    ANN,
    CHALLENGE,
    NOW,
    Defined,
    Given,
    Partition,
    Sent,
    ann,
    challenge,
    completed,
    given,
    granted,
    log,
    milestone,
    progress,
    reached,
    recorded,
    upsert,
)
from tests.tier_spec import YEAR, changed, earn, tier_set

free = event_of(reward={"default": 0})


def test_a_challenge_fails_when_its_period_ended_short_of_the_target() -> None:
    world = given(ann, challenge(), log("a", 30))
    world.when(tick("2026-11-21T23:59:59.999Z")).then_nothing_happened()
    world.when(tick("2026-11-22T00:00:30Z")).then(
        failed(
            ownedById=ANN,
            periodKey="2026-11-21",
            currentProgressValue=30,
            challengeProgressStatus="failed",
            challengeFailedAt="2026-11-22T00:00:00Z",
            challengeCompletedAt=None,
        )
    )


def test_it_fails_once() -> None:
    world = given(ann, challenge(), log("a", 30), tick("2026-11-22"))
    world.when(tick("2026-11-22"), tick("2026-11-23"), tick("2027-01-01")).then()


def test_the_event_s_time_is_the_end_and_not_the_tick_s() -> None:
    happened = given(ann, challenge(), log("a", 30)).when(tick("2026-11-25T08:00:00Z"))
    assert [event_["time"] for event_ in happened.envelopes] == ["2026-11-22T00:00:00Z"]


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("daily", "2026-11-22T00:00:00Z"),
        ("weekly", "2026-11-23T00:00:00Z"),
        ("monthly", "2026-12-01T00:00:00Z"),
        ("yearly", "2027-01-01T00:00:00Z"),
    ],
)
def test_each_period_has_its_end(period: str, end: str) -> None:
    world = given(ann, challenge(aggregationPeriod=period), log("a", 30))
    world.when(tick(end.replace("00:00:00Z", "00:00:00.000Z"))).then(failed(challengeFailedAt=end))


def test_all_time_has_no_end() -> None:
    given(ann, challenge(aggregationPeriod="all_time"), log("a", 1)).when(tick("2100-01-01")).then()


def test_a_challenge_s_own_end_goes_before_its_period_s() -> None:
    ends = challenge(aggregationPeriod="monthly", endsAt="2026-11-21T18:00:00Z")
    world = given(ann, ends, log("a", 30))
    world.when(tick("2026-11-21T17:59:59Z")).then()
    world.when(tick("2026-11-21T18:00:00Z")).then(failed(challengeFailedAt="2026-11-21T18:00:00Z"))


def test_a_challenge_of_all_time_ends_where_it_says() -> None:
    ends = challenge(aggregationPeriod="all_time", endsAt="2026-11-30T00:00:00Z")
    given(ann, ends, log("a", 30)).when(tick("2026-11-30")).then(
        failed(challengeFailedAt="2026-11-30T00:00:00Z")
    )


@pytest.mark.parametrize(
    ("zone", "at", "end"),
    [
        ("Europe/Berlin", "2026-10-25T10:00:00Z", "2026-10-25T23:00:00Z"),
        ("Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-29T22:00:00Z"),
        ("America/New_York", "2026-11-01T10:00:00Z", "2026-11-02T05:00:00Z"),
        ("Pacific/Apia", "2026-11-01T10:00:00Z", "2026-11-01T11:00:00Z"),
    ],
)
def test_a_day_ends_by_the_clock_on_the_wall(zone: str, at: str, end: str) -> None:
    world = given(ann, challenge(timezone=zone), log("a", 30, activityAt=at))
    before = end.replace("00:00Z", "00:00.000Z")
    assert world.when(tick(before)).of("challenge.failed")[0]["challengeFailedAt"] == end


def test_a_progress_ends_in_the_zone_and_the_period_that_it_began_with() -> None:
    began = challenge(timezone="Europe/Berlin")
    world = given(ann, began, log("a", 30))
    world.and_given(challenge(timezone="America/New_York", aggregationPeriod="monthly"))
    world.when(tick("2026-11-21T22:59:59Z")).then()
    world.when(tick("2026-11-21T23:00:00Z")).then(
        failed(challengeFailedAt="2026-11-21T23:00:00Z", aggregationPeriod="daily")
    )


def test_what_was_completed_does_not_fail() -> None:
    given(ann, challenge(), log("a", 100)).when(tick("2026-11-22")).then()


def test_a_paused_challenge_does_not_fail_until_it_is_live_again() -> None:
    world = given(ann, challenge(), log("a", 30), challenge(status="paused"))
    world.when(tick("2026-11-22")).then()
    world.and_given(challenge()).when(tick("2026-11-24")).then(
        failed(challengeFailedAt="2026-11-22T00:00:00Z")
    )


def test_a_challenge_that_is_gone_does_not_fail_until_it_is_made_again() -> None:
    world = given(ann, challenge(), log("a", 30), challenge().deleted())
    world.when(tick("2026-11-22")).then()
    world.and_given(challenge()).when(tick("2026-11-24")).then(
        failed(challengeFailedAt="2026-11-22T00:00:00Z")
    )


def test_a_challenge_of_all_time_that_is_gone_at_its_end_fails_once_it_is_made_again() -> None:
    ends = challenge(aggregationPeriod="all_time", endsAt="2026-11-30T00:00:00Z")
    world = given(ann, ends, log("a", 30), ends.deleted(), tick("2026-11-30"))
    world.and_given(ends).when(tick("2026-12-30")).then(
        failed(challengeFailedAt="2026-11-30T00:00:00Z")
    )


def test_a_streak_that_is_gone_does_not_break_until_it_is_made_again() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-20"), streak_of().deleted())
    world.when(tick("2026-11-22")).then()
    world.and_given(streak_of()).when(tick("2026-11-24")).then(
        broken("2026-11-21", occurredAt="2026-11-22T00:00:00Z")
    )
    world.when(tick("2026-12-24")).then()


def test_a_tier_whose_set_is_gone_does_not_fall_until_it_is_made_again() -> None:
    buy = event_of("buy", type="TRANSACTION", reward={"default": 1}, rewardValueField="amount")
    year = tier_set(0, 100, window=YEAR)
    world = given(ann, buy, year, earn(100, "2026-11-20"), year.deleted())
    world.when(tick("2027-01-01")).then()
    world.and_given(year).when(tick("2027-01-02")).then(
        changed("t1", "t0", "window", since="2027-01-01T00:00:00Z")
    )


GONE = [challenge().deleted(), streak_of().deleted(), tier_set(0, 100, window=YEAR).deleted()]


def _with_one_due_of_each_kind() -> Given:
    fed = challenge(aggregationPeriod="yearly", eventIds=["visit"])
    yearly = tier_set(0, 100, window=YEAR)
    return given(ann, event_of(), fed, streak_of(), yearly, visit("2026-12-30"))


def _dues_of(world: Given) -> list[bytes]:
    return [key for key in world.partition.entries if key.startswith(DUE.prefix)]


def test_what_stays_gone_is_looked_at_ever_more_seldom() -> None:
    world = _with_one_due_of_each_kind().and_given(*GONE)
    looks = [
        minute
        for minute in range(9 * 60)
        if world.when(tick(f"2027-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z")).counts["dues"]
    ]
    assert looks == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert len(_dues_of(world)) == len(GONE)


def test_what_is_gone_twice_waits_once() -> None:
    world = _with_one_due_of_each_kind()
    number = len(_dues_of(world))
    for day in range(1, 6):
        world.and_given(*GONE, tick(f"2027-01-{day:02d}"))
        world.and_given(
            challenge(aggregationPeriod="yearly"), streak_of(), visit(f"2027-01-{day:02d}")
        )
    world.and_given(*GONE, tick("2027-02-01"))
    assert len(_dues_of(world)) == number


def test_a_paused_challenge_whose_end_was_taken_away_is_looked_at_ever_more_seldom() -> None:
    ends = challenge(aggregationPeriod="all_time", endsAt="2026-11-22T00:00:00Z")
    endless = challenge(aggregationPeriod="all_time", status="paused")
    world = given(ann, ends, log("a", 30), endless)
    ticks = [world.when(tick(f"2026-11-{22 + n // 24}T{n % 24:02d}:00:00Z")) for n in range(72)]
    assert sum(happened.counts["dues"] for happened in ticks) < 5


def test_a_late_log_turns_failed_to_completed() -> None:
    world = given(ann, challenge(), log("a", 30), tick("2026-11-22"))
    late = log("b", 20).arriving("2026-11-22T08:00:00Z")
    world.when(late).then(recorded(progress(50, "failed")))
    last = log("c", 50).arriving("2026-11-22T09:00:00Z")
    world.when(last).then(
        recorded(progress(100, "completed", challengeFailedAt=None)),
        completed(challengeCompletedAt="2026-11-21T10:00:00Z"),
    )
    world.when(tick("2026-11-23")).then()


def test_a_log_that_comes_after_its_period_fails_with_the_next_tick() -> None:
    late = log("a", 30).arriving("2026-11-25T08:00:00Z")
    world = given(ann, challenge(), tick("2026-11-25"), late)
    world.when(tick("2026-11-25T08:01:00Z")).then(failed(challengeFailedAt="2026-11-22T00:00:00Z"))


def test_what_is_not_short_of_a_lowered_target_is_completed_as_of_its_end() -> None:
    world = given(ann, challenge(), milestone(25), log("a", 20))
    world.and_given(challenge(completionTargetValue=20, pointsOnCompletion=7), milestone(10))
    end = "2026-11-22T00:00:00Z"
    world.when(tick("2026-11-22T00:01:00Z")).then(
        completed(
            challengeProgressStatus="completed",
            challengeCompletedAt=end,
            challengeFailedAt=None,
            updatedAt="2026-11-22T00:01:00Z",
        ),
        earned(7, occurredAt=end),
    )
    world.when(tick("2026-11-23")).then()
    late = log("b", 1).arriving("2026-11-23T08:00:00Z")
    world.when(late).then(recorded(progress(21, "completed")), reached(), granted())


def test_an_end_that_was_moved_is_waited_for() -> None:
    def until(end: str) -> Defined:
        return challenge(aggregationPeriod="all_time", endsAt=end)

    first, second = until("2026-11-22T00:00:00Z"), until("2026-11-24T00:00:00Z")
    world = given(ann, first, log("a", 30), second)
    world.when(tick("2026-11-23")).then()
    world.when(tick("2026-11-24")).then(failed(challengeFailedAt="2026-11-24T00:00:00Z"))


def test_several_members_and_things_end_with_one_tick() -> None:
    world = given(ann, upsert("ben"), free, streak_of(), challenge())
    world.and_given(log("a", 1), log("b", 1, ownedById=None, ownedBy={"externalId": "ben"}))
    world.and_given(visit("2026-11-20"), visit("2026-11-20", userId="ben"))
    happened = world.when(tick("2026-11-22"))
    assert {fact["ownedById"] for fact in happened.of("challenge.failed")} == {
        fact["ownedById"] for fact in happened.of("streak.broken")
    }
    assert [fact.type for fact in happened.facts] == ["challenge.failed"] * 2 + [
        "streak.broken"
    ] * 2


def test_a_tick_takes_a_bounded_number_and_leaves_the_rest_to_the_next() -> None:
    partition = Partition()
    partition.define(challenge())
    number = MAX_DUES + 3
    members = [log("a", 1, ownedById=None, ownedBy={"externalId": f"m{n}"}) for n in range(number)]
    partition.fold(*members)
    first = partition.fold(tick("2026-11-22"))
    assert len(first.of("challenge.failed")) == MAX_DUES
    assert first.effects.more_due
    second = partition.fold(tick("2026-11-22"))
    assert len(second.of("challenge.failed")) == 3
    assert not second.effects.more_due
    both = (*first.of("challenge.failed"), *second.of("challenge.failed"))
    assert len({fact["ownedById"] for fact in both}) == number


def test_a_tick_with_nothing_due_writes_nothing_but_the_position() -> None:
    happened = given(ann, challenge(), log("a", 30)).when(tick(NOW))
    happened.then_nothing_happened()
    assert set(happened.effects.writes) == {POSITION}
    assert not happened.effects.more_due


def test_ticks_may_come_with_a_clock_that_went_back() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"), tick("2026-11-04"))
    world.when(tick("2026-11-03")).then()
    world.when(visit("2026-11-05")).then(logged(0), advanced(1))
    world.when(tick("2026-11-04")).then()
    world.when(tick("2026-11-07")).then(broken("2026-11-06"))


@pytest.mark.parametrize("value", [b"", b"[]", b'{"ends": 3}', b"{}"])
def test_a_tick_that_is_none_is_a_dead_letter(value: bytes) -> None:
    broken_tick = Sent("ticks", value, headers=())
    happened = given(ann, challenge(), log("a", 30)).when(broken_tick)
    assert [fact.type for fact in happened.facts] == ["refused"]


def test_an_event_that_feeds_a_challenge_is_failed_for_like_a_log() -> None:
    fed = challenge(eventIds=["visit"], completionTargetValue=3)
    world = given(ann, event_of(), fed, event("visit", "2026-11-21T09:00:00Z"))
    world.when(tick("2026-11-22")).then(failed(challengeId=CHALLENGE, currentProgressValue=1))
    late = event("visit", "2026-11-21T10:00:00Z").arriving("2026-11-22T10:00:00Z")
    world.when(late).then(logged(), earned(), recorded(progress(2, "failed")))


def test_a_due_that_cannot_be_done_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = given(ann, upsert("ben"), challenge(), log("a", 30))
    world.and_given(log("b", 1, ownedById=None, ownedBy={"externalId": "ben"}))

    def failing(ends: Any, context: RecordContext, *entry: Any) -> None:
        end(ends, context, *entry)
        if context.member_id == ANN:
            raise ZeroDivisionError("no rule")

    end = PeriodEnds.end_progress
    monkeypatch.setattr(PeriodEnds, "end_progress", failing)
    happened = world.when(tick("2026-11-22"))
    happened.then(failed(currentProgressValue=1))
    assert happened.counts["dues_refused"] == 1
    assert [str(fault) for fault in happened.effects.faults] == ["no rule"]
    monkeypatch.undo()
    happened.and_when(tick("2026-11-22")).then()

"""Hits of streaks that are taken back (`schemas/README.md#streaks`)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from processor.domain.state_kinds import STREAK_HITS, streak_key
from tests.event_spec import (
    STREAK,
    advanced,
    earned,
    event_of,
    logged,
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
    Defined,
    Given,
    ann,
    challenge,
    given,
    granted,
    log,
    milestone,
    reached,
)
from tests.void_spec import void_event

free = event_of(reward={"default": 0})
NOW = "2026-11-09T12:00:00Z"


def keyed(day: str, key: str | None = None) -> Any:
    """A visit that can be named."""
    return visit(day, idempotencyKey=key or day)


def taken(world: Given, *keys: str, at: str = NOW, **fields: Any) -> list[Mapping[str, Any]]:
    """Void visits; return what was published of their streak."""
    published: list[Mapping[str, Any]] = []
    for key in keys:
        voided = void_event(key, f"void {key}", **fields).arriving(at)
        published += world.when(voided).of("streak.reverted")
    return published


def late(day: str) -> Any:
    """A visit of a day that arrives days after."""
    return sent("visit", f"{day}T10:00:00Z").arriving(NOW)


def counts(world: Given) -> dict[bytes, bytes]:
    """Return how many more events hit each period."""
    entries = world.partition.entries
    return {
        key[-10:]: value for key, value in entries.items() if key.startswith(STREAK_HITS.prefix)
    }


def test_a_hit_is_taken_back_and_what_is_left_is_as_if_it_had_never_been() -> None:
    world = given(ann, free, streak_of(targetLength=3))
    world.and_given(*[keyed(f"2026-11-0{day}") for day in (2, 3, 4)])
    (reverted,) = taken(world, "2026-11-03", at="2026-11-04T13:00:00Z")
    shown = ("periodKey", "currentLength", "runLength", "longestLength", "status", "completed")
    assert [reverted[name] for name in shown] == ["2026-11-03", 1, 1, 1, "active", False]
    assert reverted["startedPeriodKey"] == "2026-11-04"
    assert reverted["activeUntil"] == "2026-11-06T00:00:00Z"
    world.when(visit("2026-11-03")).then(
        logged(0), advanced(3, healed=True, status="completed"), streak_completed()
    )


def test_what_is_over_by_now_is_broken_and_says_so_alone() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"), keyed("2026-11-03"))
    (reverted,) = taken(world, "2026-11-03", at="2026-11-04T01:00:00Z")
    assert (reverted["status"], reverted["activeUntil"]) == ("broken", None)
    world.when(tick("2026-11-06")).then_nothing_happened()


def test_a_period_that_another_event_hit_stays_hit() -> None:
    world = given(ann, free, streak_of())
    world.and_given(keyed("2026-11-02"), keyed("2026-11-02", "b"), keyed("2026-11-02", "c"))
    assert counts(world) == {b"2026-11-02": b"[2]"}
    assert not taken(world, "2026-11-02", "c")
    assert not counts(world)
    (reverted,) = taken(world, "b")
    assert (reverted["longestLength"], reverted["status"]) == (0, "broken")


def test_an_event_that_cannot_be_named_hits_for_good() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"))
    world.and_given(visit("2026-11-02"), keyed("2026-11-02", "b"), visit("2026-11-02"))
    assert counts(world) == {b"2026-11-02": b"[-1]"}
    assert not taken(world, "2026-11-02", "b")


def test_what_was_hit_before_counts_were_kept_stays_hit() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"), visit("2026-11-03"))
    key = streak_key(ANN, STREAK)
    world.partition.entries[key] = msgspec.json.encode(
        msgspec.json.decode(world.partition.entries[key])[:-1]
    )
    world.and_given(keyed("2026-11-02", "new"))
    assert not taken(world, "new")


def test_a_hit_that_comes_again_has_another_id() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"))
    taken(world, "2026-11-02")
    again = world.when(visit("2026-11-02"))
    again.then(logged(0), advanced(1, startedPeriodKey="2026-11-02"))
    first = given(ann, free, streak_of()).when(visit("2026-11-02"))
    assert first.envelopes[1]["id"] != again.envelopes[1]["id"]


def test_a_milestone_that_was_given_is_not_given_again_for_what_is_left_of_its_run() -> None:
    world = given(ann, free, streak_of(), streak_milestone(2))
    world.and_given(*[keyed(f"2026-11-0{day}") for day in (2, 3, 4, 5)])
    taken(world, "2026-11-03")
    world.when(visit("2026-11-06")).then(logged(0), advanced(3))


def test_nothing_is_taken_from_a_streak_that_is_gone() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"))
    world.and_given(Defined("streak", STREAK, None))
    assert not taken(world, "2026-11-02")


def test_a_part_of_an_event_takes_no_hit() -> None:
    world = given(ann, event_of(), streak_of(), keyed("2026-11-02"))
    assert not taken(world, "2026-11-02", portion=0.5)
    half = void_event("2026-11-02", "the rest", portion=0.5).arriving(NOW)
    assert [fact["longestLength"] for fact in world.when(half).of("streak.reverted")] == [0]


def test_a_reward_is_revoked_and_given_again_as_the_same() -> None:
    world = given(ann, free, streak_of(), streak_milestone(3, points=30))
    world.and_given(*[keyed(f"2026-11-0{day}") for day in (2, 3, 4, 5)])
    happened = world.when(void_event("2026-11-04", rewards="revoke").arriving(NOW))
    (revoked,) = happened.of("reward.revoked")
    assert (revoked["milestoneId"], revoked["periodKey"]) == (MILESTONE, "2026-11-04")
    assert [entry["points"] for entry in happened.of("points.reversed")] == [0, -30]
    world.when(late("2026-11-04")).then(
        logged(0),
        advanced(0, healed=True, runLength=4, status="broken"),
        reached(periodKey="2026-11-04"),
        granted(id=revoked["id"], periodKey="2026-11-04", version=3),
        earned(30),
    )


def test_a_reward_that_another_part_of_its_run_reaches_is_kept() -> None:
    world = given(ann, free, streak_of(), streak_milestone(2, points=30))
    world.and_given(*[keyed(f"2026-11-0{day}") for day in (2, 3, 4, 5)])
    happened = world.when(void_event("2026-11-03", rewards="revoke").arriving(NOW))
    assert not happened.of("reward.revoked")
    world.when(visit("2026-11-06")).then(logged(0), advanced(3, runLength=3))
    again = world.when(void_event("2026-11-04", "void-2", rewards="revoke").arriving(NOW))
    assert not again.of("reward.revoked")


def test_the_points_of_a_revoked_milestone_say_which_event_was_voided() -> None:
    world = given(ann, free, streak_of(), streak_milestone(1, points=30), keyed("2026-11-02"))
    happened = world.when(void_event("2026-11-02", rewards="revoke").arriving(NOW))
    (voided,) = happened.of("event.voided")
    assert {entry["voidedId"] for entry in happened.of("points.reversed")} == {voided["id"]}


def test_a_streak_that_was_gone_and_has_no_hit_any_more_is_not_looked_at() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"), streak_of().deleted())
    world.and_given(tick("2026-11-04"), streak_of())
    assert len(taken(world, "2026-11-02")) == 1
    happened = world.when(tick("2026-11-10"))
    happened.then()
    assert not happened.effects.faults


def test_a_reward_that_a_challenge_gave_and_reaches_still_is_kept() -> None:
    world = given(ann, free, challenge(), milestone(50), log(value=60), streak_of())
    world.and_given(streak_milestone(1), keyed("2026-11-21"))
    happened = world.when(void_event("2026-11-21", rewards="revoke"))
    assert not happened.of("reward.revoked")
    world.when(visit("2026-11-21")).then(logged(0), advanced(1))

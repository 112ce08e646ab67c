"""Hits of streaks that are taken back (`schemas/README.md#streaks`)."""

from datetime import datetime
from typing import Any

import msgspec

from processor.domain.context import RecordContext
from processor.domain.effects import Effects
from processor.domain.handlers.streaks import Streaks
from processor.domain.handlers.voiding import Voiding
from processor.domain.state_kinds import STREAK_HITS, streak_key
from processor.domain.working_set import WorkingSet
from schemas.amounts import SCALE
from schemas.records import Void
from tests.event_spec import (
    STREAK,
    advanced,
    event_of,
    logged,
    streak_completed,
    streak_milestone,
    streak_of,
    tick,
    visit,
)
from tests.spec import ANN, PROJECT, Given, ann, given

free = event_of(reward={"default": 0})
NOW = "2026-11-09T12:00:00+00:00"


def keyed(day: str, key: str | None = None) -> Any:
    """A visit that can be named."""
    return visit(day, idempotencyKey=key or day)


def taken(world: Given, *days: str, at: str = NOW) -> list[dict[str, Any]]:
    """Take back one hit of each of these days; return what was published of it."""
    published = []
    for number, day in enumerate(days):
        partition, effects = world.partition, Effects()
        entries = WorkingSet(partition.load, partition.scan)
        voiding = Voiding(
            command=Void(
                what="event", reason="a test", unique_identifier=f"void-{number}", user_id="ann"
            ),
            void_id=f"void-{number}",
            user_id="ann",
            portion=SCALE,
            at=datetime.fromisoformat(at),
        )
        context = RecordContext(effects, PROJECT, ANN, voiding.at, 1_000 + number)
        Streaks(partition.definitions, entries).revert(context, voiding, STREAK, day)
        for key, entry in entries.changes().items():
            if entry is None:
                partition.entries.pop(key, None)
            else:
                partition.entries[key] = entry
        published += [
            msgspec.json.decode(output.value)
            for outputs in effects.outputs.values()
            for output in outputs
        ]
    return [event["data"] for event in published]


def counts(world: Given) -> dict[bytes, bytes]:
    """Return how many more events hit each period."""
    entries = world.partition.entries
    return {
        key[-10:]: value for key, value in entries.items() if key.startswith(STREAK_HITS.prefix)
    }


def test_a_hit_is_taken_back_and_what_is_left_is_as_if_it_had_never_been() -> None:
    world = given(ann, free, streak_of(targetLength=3))
    world.and_given(*[keyed(f"2026-11-0{day}") for day in (2, 3, 4)])
    (reverted,) = taken(world, "2026-11-03", at="2026-11-04T13:00:00+00:00")
    shown = ("periodKey", "currentLength", "runLength", "longestLength", "status", "completed")
    assert [reverted[name] for name in shown] == ["2026-11-03", 1, 1, 1, "active", False]
    assert reverted["startedPeriodKey"] == "2026-11-04"
    assert reverted["activeUntil"] == "2026-11-06T00:00:00Z"
    world.when(visit("2026-11-03")).then(
        logged(0), advanced(3, healed=True, status="completed"), streak_completed()
    )


def test_what_is_over_by_now_is_broken_and_says_so_alone() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"), keyed("2026-11-03"))
    (reverted,) = taken(world, "2026-11-03", at="2026-11-04T01:00:00+00:00")
    assert (reverted["status"], reverted["activeUntil"]) == ("broken", None)
    world.when(tick("2026-11-06")).then_nothing_happened()


def test_a_period_that_another_event_hit_stays_hit() -> None:
    world = given(ann, free, streak_of())
    world.and_given(keyed("2026-11-02"), keyed("2026-11-02", "b"), keyed("2026-11-02", "c"))
    assert counts(world) == {b"2026-11-02": b"[2]"}
    assert not taken(world, "2026-11-02", "2026-11-02")
    assert not counts(world)
    (reverted,) = taken(world, "2026-11-02")
    assert (reverted["longestLength"], reverted["status"]) == (0, "broken")
    assert not taken(world, "2026-11-02")


def test_an_event_that_cannot_be_named_hits_for_good() -> None:
    world = given(ann, free, streak_of(), keyed("2026-11-02"))
    world.and_given(visit("2026-11-02"), keyed("2026-11-02", "b"), visit("2026-11-02"))
    assert counts(world) == {b"2026-11-02": b"[-1]"}
    assert not taken(world, *["2026-11-02"] * 5)


def test_what_was_hit_before_counts_were_kept_stays_hit() -> None:
    world = given(ann, free, streak_of(), visit("2026-11-02"), visit("2026-11-03"))
    key = streak_key(ANN, STREAK)
    world.partition.entries[key] = msgspec.json.encode(
        msgspec.json.decode(world.partition.entries[key])[:-1]
    )
    world.and_given(keyed("2026-11-02", "new"))
    assert not taken(world, "2026-11-02")


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
    world = given(ann, free, keyed("2026-11-02"))
    assert not taken(world, "2026-11-02")

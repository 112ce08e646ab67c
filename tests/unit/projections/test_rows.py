"""Each projection: given an event, then these rows; and given twice, still these rows."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from projections.batch import TableChanges
from projections.catalogue import PROJECTIONS
from projections.projection import Amended, Change, Deleted, Projection, Row
from projections.read_models.challenges import CHALLENGE_LOGS, CHALLENGE_PROGRESS
from projections.read_models.dead_letters import DEAD_LETTERS
from projections.read_models.definitions import CHALLENGES, DEFINITION_HISTORY, MILESTONES
from projections.read_models.members import MEMBER_HISTORY, MEMBERS
from projections.read_models.milestones import MILESTONES_REACHED, REWARD_LOGS
from projections.sources import Source
from schemas import ids, outputs
from schemas.dead_letter import Header, PlacedLetter
from schemas.definition_records import DefinitionChange
from schemas.definitions import parse
from schemas.event_types import (
    CHALLENGE_COMPLETED,
    CHALLENGE_FAILED,
    EVENT_TYPES,
    POINTS_ADJUSTED,
    POINTS_CAPTURED,
    POINTS_EXPIRED,
    POINTS_HELD,
    POINTS_RELEASED,
    POINTS_SPENT,
    REWARD_GRANTED,
    REWARD_UPDATED,
    STREAK_ADVANCED,
    STREAK_BROKEN,
    STREAK_COMPLETED,
)
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    CHALLENGE,
    MILESTONE,
    PERIOD,
    PROJECT,
    event_logged,
    hold_of,
    log_recorded,
    lot_of,
    member_of,
    member_upserted,
    milestone_reached,
    points_activated,
    points_changed,
    points_moved,
    points_reserved,
    progressed,
    raw_named,
    reward,
    reward_changed,
    streak_changed,
)

MEMBER = member_of(1)
ISO = "2026-11-21T10:30:00.250000Z"


def _read(event: CloudEvent) -> outputs.Envelope:
    return outputs.decode(outputs.encode(event))


def _named(projection: Projection, change: Change) -> dict[str, Any]:
    assert not isinstance(change, Deleted | Amended)
    assert len(change) == len(projection.columns)
    return dict(zip(projection.columns, change, strict=True))


def _only(projection: Projection, source: Source) -> dict[str, Any]:
    (row,) = projection.rows(source)
    return _named(projection, row)


def _after(projection: Projection, sources: Iterable[Source]) -> tuple[set[object], list[Row]]:
    changes = TableChanges(projection)
    for source in sources:
        for change in projection.rows(source):
            changes.add(change)
    return set(changes.gone), list(changes.rows())


def test_a_recorded_log_is_a_row_with_the_progress_after_it() -> None:
    other = "33333333-3333-4333-8333-333333333333"
    given = reward(MEMBER)
    event = log_recorded(
        MEMBER,
        1,
        value="12.000000001",
        total="99999999999999999999.999999999",
        sequence=42,
        achieved_milestone=raw_named(other),
        achieved_milestones=[raw_named(MILESTONE), raw_named(other)],
        achieved_milestone_reward_logs=[given],
    )
    row = _only(CHALLENGE_LOGS, _read(event))
    assert row == {
        "project": PROJECT,
        "id": event.data.id,
        "challenge_id": CHALLENGE,
        "member_id": MEMBER,
        "activity_at": "2026-11-21T10:30:01.250000Z",
        "activity_id": "steps",
        "unique_identifier": "log-1",
        "activity_value": "12.000000001",
        "status": "live",
        "created_at": "2026-11-21T10:30:01.250000Z",
        "progress_id": ids.progress_id(PROJECT, CHALLENGE, MEMBER, PERIOD),
        "period_key": PERIOD,
        "aggregation_method": "sum",
        "aggregation_period": "weekly",
        "timezone": "Europe/Berlin",
        "progress_value": "99999999999999999999.999999999",
        "progress_status": "in_progress",
        "challenge_started_at": ISO,
        "challenge_completed_at": None,
        "challenge_failed_at": None,
        "progress_created_at": ISO,
        "progress_updated_at": ISO,
        "achieved_milestone_ids": f"{{{MILESTONE},{other}}}",
        "achieved_milestone_reward_log_ids": f"{{{given.id}}}",
        "next_milestone_id": MILESTONE,
        "definition_version": 7,
        "sequence": 42,
        "place": 0,
    }


def test_a_log_without_value_progress_and_milestones_has_nulls_and_no_progress() -> None:
    event = _read(log_recorded(MEMBER, 1, value=None, total=None, next_milestone=outputs.NULL))
    row = _only(CHALLENGE_LOGS, event)
    empty = {name for name, value in row.items() if value is None}
    assert empty == {
        "activity_value",
        "progress_id",
        "period_key",
        "aggregation_method",
        "aggregation_period",
        "timezone",
        "progress_value",
        "progress_status",
        "challenge_started_at",
        "challenge_completed_at",
        "challenge_failed_at",
        "progress_created_at",
        "progress_updated_at",
        "next_milestone_id",
    }
    assert row["achieved_milestone_ids"] == "{}"
    assert list(CHALLENGE_PROGRESS.rows(event)) == []


def test_of_several_logs_the_newest_progress_stays() -> None:
    events = [
        _read(log_recorded(MEMBER, 1, total="1", sequence=1)),
        _read(log_recorded(MEMBER, 2, total="10", sequence=2)),
        _read(
            progressed(
                CHALLENGE_COMPLETED,
                MEMBER,
                "10",
                2,
                challenge_progress_status="completed",
                challenge_completed_at=AT,
            )
        ),
        _read(log_recorded(MEMBER, 1, total="1", sequence=1)),  # an old one, once more
    ]
    _, rows = _after(CHALLENGE_PROGRESS, events)
    (row,) = rows
    named = _named(CHALLENGE_PROGRESS, row)
    assert (named["current_progress_value"], named["status"]) == ("10", "completed")
    assert (named["challenge_completed_at"], named["definition_version"]) == (ISO, 8)


def test_a_failed_challenge_has_the_end_of_its_period() -> None:
    end = datetime(2026, 11, 22, 23, tzinfo=UTC)
    event = progressed(
        CHALLENGE_FAILED,
        MEMBER,
        "3",
        9,
        challenge_progress_status="failed",
        challenge_failed_at=end,
    )
    row = _only(CHALLENGE_PROGRESS, _read(event))
    assert (row["status"], row["challenge_failed_at"]) == ("failed", "2026-11-22T23:00:00Z")


def test_a_milestone_reached_is_a_row() -> None:
    row = _only(MILESTONES_REACHED, _read(milestone_reached(MEMBER, "87.5", 5)))
    assert row == {
        "project": PROJECT,
        "id": ids.milestone_reached_id(PROJECT, MILESTONE, MEMBER, PERIOD),
        "member_id": MEMBER,
        "milestone_id": MILESTONE,
        "linked_schema_slug": "challenge",
        "linked_schema_record_id": CHALLENGE,
        "period_key": PERIOD,
        "value": "87.5",
        "reached_at": ISO,
        "definition_version": 9,
        "sequence": 5,
    }


def test_a_reward_that_was_fulfilled_stays_fulfilled() -> None:
    events = [
        _read(reward_changed(REWARD_GRANTED, MEMBER, 1)),
        _read(
            reward_changed(
                REWARD_UPDATED,
                MEMBER,
                2,
                coupon_code="A\tB",
                reward_issued_at=AT,
                reward_expiry_at=AT + timedelta(days=1),
                version=2,
            )
        ),
        _read(reward_changed(REWARD_GRANTED, MEMBER, 1)),
    ]
    _, rows = _after(REWARD_LOGS, events)
    (row,) = rows
    named = _named(REWARD_LOGS, row)
    assert named["coupon_code"] == "A\tB"
    assert (named["reward_issued_at"], named["version"]) == (ISO, 2)


def test_a_member_whose_data_was_erased_has_none() -> None:
    events = [
        _read(member_upserted(1, 1, email="a@example.org", groups=["gold"])),
        _read(member_upserted(1, 2, status="deleted", version=2)),
    ]
    _, rows = _after(MEMBERS, events)
    (row,) = rows
    named = _named(MEMBERS, row)
    assert (named["email"], named["groups"], named["status"]) == (None, [], "deleted")
    assert (named["member_id"], named["external_id"]) == (MEMBER, "user-1")


def test_what_a_members_status_was_is_told_from_its_first_change_on() -> None:
    events = [
        _read(member_upserted(1, 1, email="a@example.org")),
        _read(member_upserted(1, 2, status="paused", version=2)),
        _read(member_upserted(1, 3, status="live", version=3)),
    ]
    _, rows = _after(MEMBER_HISTORY, events)
    named = [_named(MEMBER_HISTORY, row) for row in rows]
    assert [(row["sequence"], row["version"], row["status"]) for row in named] == [
        (2, 2, "paused"),
        (3, 3, "live"),
    ]
    assert {row["member_id"] for row in named} == {MEMBER}


def _definition(kind: str, offset: int, **fields: Any) -> DefinitionChange:
    given = {"id": CHALLENGE if kind == "challenge" else MILESTONE, "name": "n"} | fields
    return DefinitionChange(
        PROJECT, kind, given["id"], parse(kind, given), offset, AT + timedelta(seconds=offset)
    )


def _deletion(kind: str, definition_id: str, offset: int) -> DefinitionChange:
    return DefinitionChange(PROJECT, kind, definition_id, None, offset, AT)


def test_a_challenge_changed_keeps_when_it_was_made() -> None:
    changes = [
        _definition("challenge", 3, completionTargetValue=Decimal("0.1")),
        _definition("challenge", 5, completionTargetValue=2, status="paused"),
    ]
    gone, rows = _after(CHALLENGES, changes)
    (row,) = rows
    named = _named(CHALLENGES, row)
    assert gone == set()
    assert (named["completion_target_value"], named["status"]) == (Decimal(2), "paused")
    assert (named["created_at"], named["updated_at"]) == (
        AT + timedelta(seconds=3),
        AT + timedelta(seconds=5),
    )
    assert named["version"] == 5


def test_a_challenge_deleted_and_made_again_is_a_new_one() -> None:
    changes = [
        _definition("challenge", 3, completionTargetValue=1),
        _deletion("challenge", CHALLENGE, 4),
        _definition("challenge", 5, completionTargetValue=2),
    ]
    gone, rows = _after(CHALLENGES, changes)
    (row,) = rows
    assert gone == {(PROJECT, CHALLENGE)}
    assert _named(CHALLENGES, row)["created_at"] == AT + timedelta(seconds=5)


def test_a_deleted_milestone_is_gone_and_a_name_that_is_no_uuid_is_nothing() -> None:
    made = _definition(
        "milestone", 1, linkedSchemaRecordId=CHALLENGE, milestoneTargetValue=5, points=3
    )
    assert _only(MILESTONES, made)["points"] == 3
    gone, rows = _after(MILESTONES, [made, _deletion("milestone", MILESTONE, 2)])
    assert (gone, rows) == ({(PROJECT, MILESTONE)}, [])
    assert list(MILESTONES.rows(_deletion("milestone", "streak-1", 2))) == []
    assert list(CHALLENGES.rows(made)) == []


def test_every_write_and_deletion_of_a_definition_is_a_row_of_its_own() -> None:
    made = replace(
        _definition("challenge", 3, completionTargetValue=Decimal("0.10")), actor="zoe@acme"
    )
    changes = [made, _deletion("challenge", CHALLENGE, 4), made]
    gone, rows = _after(DEFINITION_HISTORY, changes)
    assert gone == set()
    first, second, again = (_named(DEFINITION_HISTORY, row) for row in rows)
    assert again == first  # the key is that of the first
    definition = json.loads(str(first.pop("definition")))
    assert (definition["completionTargetValue"], definition["id"]) == (0.1, CHALLENGE)
    key = {"project": PROJECT, "kind": "challenge", "id": CHALLENGE}
    assert first == key | {"version": 3, "at": AT + timedelta(seconds=3), "actor": "zoe@acme"}
    assert second == key | {"version": 4, "at": AT, "actor": None, "definition": None}


@pytest.mark.parametrize("definition_id", ["a\x00b", "x" * 257])
def test_the_deletion_of_what_can_be_no_definition_is_no_row(definition_id: str) -> None:
    assert list(DEFINITION_HISTORY.rows(_deletion("event", definition_id, 1))) == []


def test_a_dead_letter_lies_at_the_place_of_the_original() -> None:
    letter = PlacedLetter(
        reason="invalid",
        message="activityAt: must have an offset",
        project=PROJECT,
        topic="challenge-logs",
        partition=3,
        offset=17,
        key="k",
        value="e30=",
        headers=[Header("a", "AA==")],
        attempts=2,
        at=AT,
        place=5,
    )
    row = _only(DEAD_LETTERS, letter)
    assert row["headers"] == '[{"key":"a","value":"AA=="}]'
    assert [row[name] for name in DEAD_LETTERS.key] == ["challenge-logs", 3, 17]
    assert (row["attempts"], row["at"], row["value"]) == (2, AT, "e30=")
    assert row["place"] == 5


EVENTS = [
    log_recorded(MEMBER, 1),
    progressed(CHALLENGE_COMPLETED, MEMBER, "1", 1),
    progressed(CHALLENGE_FAILED, MEMBER, "1", 1),
    milestone_reached(MEMBER, "1", 1),
    reward_changed(REWARD_GRANTED, MEMBER, 1),
    reward_changed(REWARD_UPDATED, MEMBER, 1),
    member_upserted(1, 1, version=2),  # that it began live is no change of its status
    event_logged(MEMBER, 1),
    points_changed(MEMBER, 1, 5, lots=[lot_of("a", 5)]),
    points_changed(MEMBER, 1, -5, lots=[lot_of("a", 3)]),
    points_moved(POINTS_SPENT, MEMBER, 1, -5, lots=[lot_of("a", 0)]),
    points_moved(POINTS_CAPTURED, MEMBER, 1, -5, hold=hold_of(), lots=[lot_of("a", 3)]),
    points_moved(POINTS_ADJUSTED, MEMBER, 1, 5, lots=[lot_of("a", 3)]),
    points_moved(POINTS_EXPIRED, MEMBER, 1, -5, lots=[lot_of("a", 3)]),
    points_reserved(POINTS_HELD, MEMBER, 1, hold_of()),
    points_reserved(POINTS_RELEASED, MEMBER, 1, hold_of()),
    points_activated(MEMBER, 1, 5, lots=[lot_of("a", 5)]),
    streak_changed(STREAK_ADVANCED, MEMBER, 1),
    streak_changed(STREAK_BROKEN, MEMBER, 1),
    streak_changed(STREAK_COMPLETED, MEMBER, 1),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_an_event_applied_twice_gives_the_same_rows_with_the_same_keys(event: CloudEvent) -> None:
    takers = [p for p in PROJECTIONS.values() if EVENT_TYPES[event.type] in p.types]
    assert takers
    for projection in takers:
        once = list(projection.rows(_read(event)))
        assert once == list(projection.rows(_read(event)))
        assert once
        if projection.newest_by is not None:
            gone, rows = _after(projection, [_read(event), _read(event)])
            assert [*rows, *gone] == [c.key if isinstance(c, Deleted) else c for c in once]


def test_amounts_are_the_text_that_they_were() -> None:
    for text in ("0.1", "1e-9", "-3", "12345678901234567890.123456789", "1.50"):
        row = _only(CHALLENGE_LOGS, _read(log_recorded(MEMBER, 1, value=text)))
        assert row["activity_value"] == text

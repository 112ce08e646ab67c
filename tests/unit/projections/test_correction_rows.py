"""What corrections of progress do to the read models."""

from typing import Any

from msgspec import Raw

from projections.batch import TableChanges
from projections.projection import Projection
from projections.read_models.challenges import CHALLENGE_PROGRESS, CHALLENGE_PROGRESS_HISTORY
from projections.read_models.corrections import PROGRESS_CORRECTIONS
from schemas import ids, outputs
from schemas.event_types import CHALLENGE_PROGRESS_CORRECTED
from schemas.outputs import CloudEvent
from tests.unit.projections.events import (
    AT,
    CHALLENGE,
    PERIOD,
    PROJECT,
    event,
    log_recorded,
    member_of,
    progress,
)

MEMBER = member_of(1)
RECALCULATION = "33333333-3333-4333-8333-333333333333"
PROGRESS_ID = ids.progress_id(PROJECT, CHALLENGE, MEMBER, PERIOD)


def _corrected(sequence: int, before: str | None, after: str, difference: str) -> CloudEvent:
    identifier = ids.correction_identifier(RECALCULATION, CHALLENGE, PERIOD)
    data = outputs.ProgressCorrected(
        id=ids.correction_id(PROJECT, MEMBER, identifier),
        recalculation_id=RECALCULATION,
        challenge_id=CHALLENGE,
        owned_by_id=MEMBER,
        period_key=PERIOD,
        difference=Raw(difference.encode()),
        before=None if before is None else progress(MEMBER, before),
        after=progress(MEMBER, after, challenge_progress_status="completed"),
        unique_identifier=identifier,
        corrected_at=AT,
        definition_version=7,
    )
    return event(CHALLENGE_PROGRESS_CORRECTED, data, MEMBER, sequence)


def _after(projection: Projection, *events: CloudEvent) -> list[dict[str, Any]]:
    changes = TableChanges(projection)
    for each in events:
        for change in projection.rows(outputs.decode(outputs.encode(each))):
            changes.add(change)
    return [dict(zip(projection.columns, row, strict=True)) for row in changes.rows()]


def test_a_correction_is_a_row_and_the_newest_progress() -> None:
    events = (log_recorded(MEMBER, 1), _corrected(2, "60", "100.5", "40.5"))
    (row,) = _after(PROGRESS_CORRECTIONS, *events)
    assert row == {
        "project": PROJECT,
        "id": events[1].data.id,
        "recalculation_id": RECALCULATION,
        "challenge_id": CHALLENGE,
        "member_id": MEMBER,
        "period_key": PERIOD,
        "progress_id": PROGRESS_ID,
        "aggregation_method": "sum",
        "difference": "40.5",
        "value_before": "60",
        "value_after": "100.5",
        "unique_identifier": f"{RECALCULATION}:{CHALLENGE}:{PERIOD}",
        "corrected_at": "2026-11-21T10:30:00.250000Z",
        "definition_version": 7,
        "sequence": 2,
    }
    for projection in (CHALLENGE_PROGRESS, CHALLENGE_PROGRESS_HISTORY):
        (newest,) = _after(projection, *events)
        assert newest["id"] == PROGRESS_ID
        assert newest["current_progress_value"] == "100.5"
        assert newest["status"] == "completed"
        assert newest["definition_version"] == 7
        assert newest["sequence"] == 2


def test_a_progress_that_begins_with_a_correction_had_no_value() -> None:
    (row,) = _after(PROGRESS_CORRECTIONS, _corrected(2, None, "5", "5"))
    assert row["value_before"] is None

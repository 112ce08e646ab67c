"""Corrections: what recalculations made of progress."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import CHALLENGE_PROGRESS_CORRECTED
from schemas.outputs import Envelope


class _Shown(msgspec.Struct, rename="camel", gc=False):
    """What it takes of ``outputs.ProgressRecord``."""

    id: str
    aggregation_method: str
    current_progress_value: msgspec.Raw

    @property
    def value(self) -> str:
        """The value as text."""
        return str(self.current_progress_value, "ascii")


class _Corrected(msgspec.Struct, rename="camel", gc=False):
    """What it takes of ``outputs.ProgressCorrected``."""

    id: str
    recalculation_id: str
    challenge_id: str
    owned_by_id: str
    period_key: str
    difference: msgspec.Raw
    before: _Shown | None
    after: _Shown
    unique_identifier: str
    corrected_at: str
    definition_version: int


_CORRECTED = msgspec.json.Decoder(_Corrected)


def _correction(event: Envelope) -> Iterable[Row]:
    data = _CORRECTED.decode(event.data)
    yield (
        event.project,
        data.id,
        data.recalculation_id,
        data.challenge_id,
        data.owned_by_id,
        data.period_key,
        data.after.id,
        data.after.aggregation_method,
        str(data.difference, "ascii"),
        None if data.before is None else data.before.value,
        data.after.value,
        data.unique_identifier,
        data.corrected_at,
        data.definition_version,
        int(event.sequence),
    )


PROGRESS_CORRECTIONS = of_events(
    "progress_corrections",
    columns=(
        "project",
        "id",
        "recalculation_id",
        "challenge_id",
        "member_id",
        "period_key",
        "progress_id",
        "aggregation_method",
        "difference",
        "value_before",
        "value_after",
        "unique_identifier",
        "corrected_at",
        "definition_version",
        "sequence",
    ),
    key=("project", "id"),
    events={CHALLENGE_PROGRESS_CORRECTED: _correction},
)
"""Facts: a correction is corrected by another one."""

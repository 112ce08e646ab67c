"""``challenge_progress``: the newest progress of each member, challenge and period."""

from collections.abc import Iterable

import msgspec

from projections.progress_state import RECORDED_LOG, LoggedProgress
from projections.projection import Row, of_events
from schemas.event_types import CHALLENGE_COMPLETED, CHALLENGE_FAILED, CHALLENGE_LOG_RECORDED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "challenge_id",
    "member_id",
    "period_key",
    "aggregation_method",
    "aggregation_period",
    "timezone",
    "current_progress_value",
    "status",
    "challenge_started_at",
    "challenge_completed_at",
    "challenge_failed_at",
    "created_at",
    "updated_at",
    "definition_version",
    "sequence",
)


class _Changed(LoggedProgress, rename="camel", gc=False):
    """What it takes of ``outputs.ChallengeProgressed``."""

    definition_version: int


_CHANGED = msgspec.json.Decoder(_Changed)


def recorded(event: Envelope) -> Iterable[Row]:
    """The progress after a log; none where the log belongs to no progress."""
    log = RECORDED_LOG.of(event)
    if log.challenge_progress is not None:
        yield _row(event, log.challenge_progress, log.definition_version)


def changed(event: Envelope) -> Iterable[Row]:
    """The progress as it was completed or failed."""
    progress = _CHANGED.decode(event.data)
    yield _row(event, progress, progress.definition_version)


def _row(event: Envelope, progress: LoggedProgress, definition_version: int) -> Row:
    return (
        event.project,
        progress.id,
        progress.challenge_id,
        progress.owned_by_id,
        *progress.state(),
        definition_version,
        int(event.sequence),
    )


PROJECTION = of_events(
    table="challenge_progress",
    columns=COLUMNS,
    key=("project", "challenge_id", "member_id", "period_key"),
    newest_by="sequence",
    events={
        CHALLENGE_LOG_RECORDED: recorded,
        CHALLENGE_COMPLETED: changed,
        CHALLENGE_FAILED: changed,
    },
)

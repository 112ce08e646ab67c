"""Challenge logs with the progress as it stood after each, the newest progress of all, and how it
stood after what was no log."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, SharedData, of_events, uuid_array
from projections.read_models.voids import PORTIONS, portion
from schemas.event_types import (
    CHALLENGE_COMPLETED,
    CHALLENGE_FAILED,
    CHALLENGE_LOG_RECORDED,
    CHALLENGE_LOG_VOIDED,
    CHALLENGE_PROGRESS_CORRECTED,
    CHALLENGE_REOPENED,
)
from schemas.outputs import Envelope


class _Progress(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.ProgressRecord``."""

    id: str
    period_key: str
    aggregation_method: str
    aggregation_period: str
    timezone: str
    current_progress_value: msgspec.Raw
    challenge_progress_status: str
    challenge_started_at: str
    challenge_completed_at: str | None
    challenge_failed_at: str | None
    created_at: str
    updated_at: str

    def state(self) -> Row:
        """Return all but the id, in the order of the tables' columns."""
        return (
            self.period_key,
            self.aggregation_method,
            self.aggregation_period,
            self.timezone,
            str(self.current_progress_value, "ascii"),
            self.challenge_progress_status,
            self.challenge_started_at,
            self.challenge_completed_at,
            self.challenge_failed_at,
            self.created_at,
            self.updated_at,
        )


class _LoggedProgress(_Progress, rename="camel", gc=False):
    """Some more of these fields."""

    challenge_id: str
    owned_by_id: str


class _Named(msgspec.Struct, gc=False):
    """Any record, for its id."""

    id: str


class _RecordedLog(msgspec.Struct, rename="camel"):
    """Some fields of ``outputs.ChallengeLogRecorded``."""

    id: str
    challenge_id: str
    owned_by_id: str
    activity_at: str
    activity_id: str
    unique_identifier: str
    activity_value: msgspec.Raw
    status: str
    created_at: str
    challenge_progress: _LoggedProgress | None
    next_milestone: _Named | None
    achieved_milestones: list[_Named]
    achieved_milestone_reward_logs: list[_Named]
    definition_version: int


_RECORDED_LOG = SharedData(_RecordedLog)
"""A log's event is large, and two read models take it."""

_LOG_COLUMNS = (
    "project",
    "id",
    "challenge_id",
    "member_id",
    "activity_at",
    "activity_id",
    "unique_identifier",
    "activity_value",
    "status",
    "created_at",
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
    "achieved_milestone_ids",
    "achieved_milestone_reward_log_ids",
    "next_milestone_id",
    "definition_version",
    "sequence",
    "place",
)

_NO_PROGRESS = (None,) * 12


def _log(event: Envelope) -> Iterable[Row]:
    """A log as it was answered. A fact: it never changes, but for what is voided."""
    log = _RECORDED_LOG.of(event)
    value = str(log.activity_value, "ascii")
    progress = log.challenge_progress
    following = log.next_milestone
    yield (
        event.project,
        log.id,
        log.challenge_id,
        log.owned_by_id,
        log.activity_at,
        log.activity_id,
        log.unique_identifier,
        None if value == "null" else value,
        log.status,
        log.created_at,
        *(_NO_PROGRESS if progress is None else (progress.id, *progress.state())),
        uuid_array([milestone.id for milestone in log.achieved_milestones]),
        uuid_array([reward.id for reward in log.achieved_milestone_reward_logs]),
        None if following is None else following.id,
        log.definition_version,
        int(event.sequence),
        event.place,
    )


CHALLENGE_LOGS = of_events(
    "challenge_logs",
    columns=_LOG_COLUMNS,
    key=("project", "id"),
    events={CHALLENGE_LOG_RECORDED: _log, CHALLENGE_LOG_VOIDED: portion},
    amend=PORTIONS,
)

_PROGRESS_COLUMNS = (
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
    "place",
)


class _Changed(_LoggedProgress, rename="camel", gc=False):
    """What it takes of ``outputs.ChallengeProgressed``."""

    definition_version: int


_CHANGED = msgspec.json.Decoder(_Changed)


def _progressed(event: Envelope) -> Iterable[Row]:
    """The progress after a log; none where the log belongs to no progress."""
    log = _RECORDED_LOG.of(event)
    if log.challenge_progress is not None:
        yield _row(event, log.challenge_progress, log.definition_version)


class _VoidedLog(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.ChallengeLogVoided``."""

    challenge_progress: _LoggedProgress | None
    definition_version: int


_VOIDED_LOG = msgspec.json.Decoder(_VoidedLog)


def _voided(event: Envelope) -> Iterable[Row]:
    """The progress after a void; none where the log belongs to no progress."""
    log = _VOIDED_LOG.decode(event.data)
    if log.challenge_progress is not None:
        yield _row(event, log.challenge_progress, log.definition_version)


def _changed(event: Envelope) -> Iterable[Row]:
    """The progress as it was completed or failed, or is open again."""
    progress = _CHANGED.decode(event.data)
    yield _row(event, progress, progress.definition_version)


class _Corrected(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.ProgressCorrected``."""

    after: _LoggedProgress
    definition_version: int


_CORRECTED = msgspec.json.Decoder(_Corrected)


def _corrected(event: Envelope) -> Iterable[Row]:
    """The progress after a correction."""
    data = _CORRECTED.decode(event.data)
    yield _row(event, data.after, data.definition_version)


def _row(event: Envelope, progress: _LoggedProgress, definition_version: int) -> Row:
    return (
        event.project,
        progress.id,
        progress.challenge_id,
        progress.owned_by_id,
        *progress.state(),
        definition_version,
        int(event.sequence),
        event.place,
    )


_WITHOUT_LOG = {
    CHALLENGE_COMPLETED: _changed,
    CHALLENGE_FAILED: _changed,
    CHALLENGE_LOG_VOIDED: _voided,
    CHALLENGE_REOPENED: _changed,
    CHALLENGE_PROGRESS_CORRECTED: _corrected,
}

CHALLENGE_PROGRESS = of_events(
    "challenge_progress",
    columns=_PROGRESS_COLUMNS,
    key=("project", "challenge_id", "member_id", "period_key"),
    newest_by="sequence",
    events={CHALLENGE_LOG_RECORDED: _progressed, **_WITHOUT_LOG},
)

CHALLENGE_PROGRESS_HISTORY = of_events(
    "challenge_progress_history",
    columns=_PROGRESS_COLUMNS,
    key=("project", "challenge_id", "member_id", "period_key", "place"),
    events=_WITHOUT_LOG,
)
"""Facts. How a progress stood after a log is in ``challenge_logs``: no log has a row more."""

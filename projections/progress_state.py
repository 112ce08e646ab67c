"""A progress and a log as events carry them: what a log's row and a progress' own row both take."""

import msgspec

from projections.projection import Row, SharedData


class Progress(msgspec.Struct, rename="camel", gc=False):
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


class LoggedProgress(Progress, rename="camel", gc=False):
    """Some more of these fields."""

    challenge_id: str
    owned_by_id: str


class Named(msgspec.Struct, gc=False):
    """Any record, for its id."""

    id: str


class RecordedLog(msgspec.Struct, rename="camel"):
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
    challenge_progress: LoggedProgress | None
    next_milestone: Named | None
    achieved_milestones: list[Named]
    achieved_milestone_reward_logs: list[Named]
    definition_version: int


RECORDED_LOG = SharedData(RecordedLog)
"""A log's event is large, and two read models take it."""

"""A progress as events carry it: what a log's row and a progress' own row both take of it."""

import msgspec

from projections.projection import Row


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

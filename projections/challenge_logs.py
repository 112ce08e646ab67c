"""``challenge_logs``: every log that was recorded, with the progress as it stood after it."""

from collections.abc import Iterable

from projections.progress_state import RECORDED_LOG
from projections.projection import Row, of_events, uuid_array
from schemas.event_types import CHALLENGE_LOG_RECORDED
from schemas.outputs import Envelope

COLUMNS = (
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
)


_NO_PROGRESS = (None,) * 12


def recorded(event: Envelope) -> Iterable[Row]:
    """A log as it was answered. A fact: it never changes."""
    log = RECORDED_LOG.of(event)
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
    )


PROJECTION = of_events(
    table="challenge_logs",
    columns=COLUMNS,
    key=("project", "id"),
    events={CHALLENGE_LOG_RECORDED: recorded},
)

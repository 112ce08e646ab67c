"""Making CloudEvents of what happened, each onto its topic and keyed by its member."""

from datetime import datetime

import msgspec

from processor.domain import member as member_of
from processor.domain.cloud_events import emit
from processor.domain.effects import Effects
from processor.domain.member import Member
from schemas import event_types, outputs
from schemas.event_types import EventType


class Announcer:
    """Writes events into a chunk's effects. ``sequence`` is the place of the input in line."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def member(self, member_id: str, member: Member, sequence: int) -> None:
        """``member.upserted``: the one event that carries personal fields."""
        id_ = event_types.MEMBER_UPSERTED.event_id(member.project, member_id, member.version)
        record = member_of.record(member_id, member)
        kind = event_types.MEMBER_UPSERTED
        at = member.updated_at
        emit(
            self._effects,
            kind,
            id_,
            member.project,
            member_id=member_id,
            at=at,
            data=record,
            sequence=sequence,
        )

    def recorded(self, project: str, data: outputs.ChallengeLogRecorded, sequence: int) -> None:
        """``challenge_log.recorded``: its id is the log's own."""
        emit(
            self._effects,
            event_types.CHALLENGE_LOG_RECORDED,
            data.id,
            project,
            member_id=data.owned_by_id,
            at=data.activity_at,
            data=data,
            sequence=sequence,
        )

    def completed(
        self, project: str, progress: outputs.ProgressRecord, version: int, sequence: int
    ) -> None:
        """``challenge.completed``: once a progress."""
        fields = msgspec.structs.asdict(progress)
        data = outputs.ChallengeProgressed(**fields, definition_version=version)
        id_ = event_types.CHALLENGE_COMPLETED.event_id(project, progress.id)
        kind, member_id = event_types.CHALLENGE_COMPLETED, progress.owned_by_id
        at = progress.challenge_completed_at or progress.updated_at
        emit(
            self._effects,
            kind,
            id_,
            project,
            member_id=member_id,
            at=at,
            data=data,
            sequence=sequence,
        )

    def failed(
        self, project: str, progress: outputs.ProgressRecord, version: int, sequence: int
    ) -> None:
        """``challenge.failed``: once a progress."""
        fields = msgspec.structs.asdict(progress)
        emit(
            self._effects,
            event_types.CHALLENGE_FAILED,
            event_types.CHALLENGE_FAILED.event_id(project, progress.id),
            project,
            member_id=progress.owned_by_id,
            at=progress.challenge_failed_at or progress.updated_at,
            data=outputs.ChallengeProgressed(**fields, definition_version=version),
            sequence=sequence,
        )

    def reached(self, project: str, data: outputs.MilestoneReached, sequence: int) -> None:
        """``milestone.reached``: once a milestone, member and period."""
        id_ = event_types.MILESTONE_REACHED.event_id(project, data.id)
        kind, at = event_types.MILESTONE_REACHED, data.reached_at
        emit(
            self._effects,
            kind,
            id_,
            project,
            member_id=data.owned_by_id,
            at=at,
            data=data,
            sequence=sequence,
        )

    def granted(
        self,
        project: str,
        reward: outputs.RewardLogRecord,
        at: datetime,
        version: int,
        sequence: int,
    ) -> None:
        """``reward.granted``: once a reward log."""
        id_ = event_types.REWARD_GRANTED.event_id(project, reward.id)
        self._reward(
            event_types.REWARD_GRANTED,
            id_,
            project,
            reward,
            at=at,
            version=version,
            sequence=sequence,
        )

    def updated(
        self, project: str, reward: outputs.RewardLogRecord, version: int, sequence: int
    ) -> None:
        """``reward.updated``: once a change of a reward log."""
        id_ = event_types.REWARD_UPDATED.event_id(project, reward.id, reward.version)
        kind, at = event_types.REWARD_UPDATED, reward.updated_at
        self._reward(kind, id_, project, reward, at=at, version=version, sequence=sequence)

    def _reward(
        self,
        kind: EventType,
        id_: str,
        project: str,
        reward: outputs.RewardLogRecord,
        *,
        at: datetime,
        version: int,
        sequence: int,
    ) -> None:
        fields = msgspec.structs.asdict(reward)
        data = outputs.RewardChanged(**fields, definition_version=version)
        emit(
            self._effects,
            kind,
            id_,
            project,
            member_id=reward.owned_by_id,
            at=at,
            data=data,
            sequence=sequence,
        )

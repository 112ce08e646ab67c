"""Giving milestones within a chunk: that one was reached, its reward, its points."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates import reward as reward_of
from processor.domain.aggregates.points import Entry
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import MILESTONE, Ledger
from processor.domain.rules import DEFAULT_GROUP, Milestone
from processor.domain.state_kinds import REWARD, reward_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import MILESTONE_REACHED, REWARD_GRANTED


class Reached(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A milestone that a member reached: of what, in which period, with what value, when."""

    slug: str
    linked_id: str
    milestone: Milestone
    period_key: str
    value: Raw
    at: datetime
    group: str = DEFAULT_GROUP


class Milestones:
    """The milestones of one chunk's members."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._entries = entries
        self._ledger = Ledger(definitions, entries)

    def give(self, context: RecordContext, reached: Reached) -> None:
        """Grant a milestone's reward and announce it; once a period."""
        reward = self.grant(context, reached)
        if reward is not None:
            self.announce(context, reached, reward)

    def grant(self, context: RecordContext, reached: Reached) -> outputs.RewardLogRecord | None:
        """Write a milestone's reward down; None where it was given in this period, maybe while it
        belonged to something else."""
        milestone, member_id = reached.milestone, context.member_id
        reward_id = ids.reward_log_id(context.project, milestone.id, member_id, reached.period_key)
        key = reward_key(reward_id)
        if self._entries.get(REWARD, key) is not None:
            return None
        reward = reward_of.initial(
            member_id,
            slug=reached.slug,
            linked_id=reached.linked_id,
            milestone_id=milestone.id,
            period_key=reached.period_key,
            at=context.recorded_at,
        )
        self._entries.set(REWARD, key, reward)
        return reward_of.record(reward_id, reward, milestone.json)

    def announce(
        self, context: RecordContext, reached: Reached, reward: outputs.RewardLogRecord
    ) -> None:
        """Publish that it was reached, its reward, and the points that it gives."""
        milestone = reached.milestone
        context.emit(MILESTONE_REACHED, _record(context, reached), at=reached.at)
        granted = reward_of.changed(reward, milestone.version)
        context.emit(REWARD_GRANTED, granted, at=reached.at)
        if not milestone.points:
            return
        entry = Entry(
            source=MILESTONE,
            source_id=reward.id,
            action_id=f"milestone:{milestone.id}",
            points=milestone.points,
            at=reached.at,
            group=reached.group,
            version=milestone.version,
        )
        self._ledger.add(context, entry)


def _record(context: RecordContext, reached: Reached) -> outputs.MilestoneReached:
    milestone, period_key = reached.milestone, reached.period_key
    return outputs.MilestoneReached(
        id=ids.milestone_reached_id(context.project, milestone.id, context.member_id, period_key),
        owned_by_id=context.member_id,
        milestone_id=milestone.id,
        linked_schema_slug=reached.slug,
        linked_schema_record_id=reached.linked_id,
        period_key=period_key,
        value=reached.value,
        reached_at=reached.at,
        milestone=milestone.json,
        definition_version=milestone.version,
    )

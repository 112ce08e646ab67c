"""Giving milestones within a chunk: that one was reached, its reward, its points."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain import reward as reward_of
from processor.domain.announce import Announcer
from processor.domain.effects import Effects
from processor.domain.ledger import Ledger
from processor.domain.points import Entry
from processor.domain.rules import DEFAULT_GROUP, Milestone
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs


class Reached(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A milestone that a member reached: of what, in which period, with what value, when."""

    member_id: str
    slug: str
    linked_id: str
    milestone: Milestone
    period_key: str
    value: Raw
    at: datetime
    recorded_at: datetime
    group: str = DEFAULT_GROUP


class Milestones:
    """The milestones of one chunk's members."""

    def __init__(self, entries: WorkingSet, effects: Effects) -> None:
        self._entries = entries
        self._announce = Announcer(effects)
        self._ledger = Ledger(entries, effects)

    def give(self, project: str, reached: Reached, sequence: int) -> None:
        """Grant a milestone's reward and announce it; once a period."""
        reward = self.grant(project, reached)
        if reward is not None:
            self.announce(project, reached, reward, sequence)

    def grant(self, project: str, reached: Reached) -> outputs.RewardLogRecord | None:
        """Write a milestone's reward down; None where it was given in this period, maybe while it
        belonged to something else."""
        milestone, member_id = reached.milestone, reached.member_id
        reward_id = ids.reward_log_id(project, milestone.id, member_id, reached.period_key)
        if self._entries.reward(reward_id) is not None:
            return None
        reward = reward_of.initial(
            member_id,
            slug=reached.slug,
            linked_id=reached.linked_id,
            milestone_id=milestone.id,
            period_key=reached.period_key,
            at=reached.recorded_at,
        )
        self._entries.set_reward(reward_id, reward)
        return reward_of.record(reward_id, reward, milestone.json)

    def announce(
        self, project: str, reached: Reached, reward: outputs.RewardLogRecord, sequence: int
    ) -> None:
        """Publish that it was reached, its reward, and the points that it gives."""
        milestone = reached.milestone
        self._announce.reached(project, _record(project, reached), sequence)
        self._announce.granted(project, reward, reached.at, milestone.version, sequence)
        if not milestone.points:
            return
        entry = Entry(
            source="milestone",
            source_id=reward.id,
            action_id=f"milestone:{milestone.id}",
            points=milestone.points,
            at=reached.at,
            group=reached.group,
            version=milestone.version,
        )
        self._ledger.add(project, reached.member_id, entry, reached.recorded_at, sequence)


def _record(project: str, reached: Reached) -> outputs.MilestoneReached:
    milestone = reached.milestone
    return outputs.MilestoneReached(
        id=ids.milestone_reached_id(project, milestone.id, reached.member_id, reached.period_key),
        owned_by_id=reached.member_id,
        milestone_id=milestone.id,
        linked_schema_slug=reached.slug,
        linked_schema_record_id=reached.linked_id,
        period_key=reached.period_key,
        value=reached.value,
        reached_at=reached.at,
        milestone=milestone.json,
        definition_version=milestone.version,
    )

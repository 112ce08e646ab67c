"""Giving milestones within a chunk: that one was reached, its reward, its points."""

from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates import reward as reward_of
from processor.domain.aggregates.points import Entry
from processor.domain.aggregates.reward import Reward
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import MILESTONE, Ledger
from processor.domain.handlers.voiding import Voiding
from processor.domain.rules import DEFAULT_GROUP, Milestone
from processor.domain.state_kinds import REWARD, reward_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import MILESTONE_REACHED, REWARD_GRANTED, REWARD_REVOKED


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
        self._definitions = definitions
        self._entries = entries
        self._ledger = Ledger(definitions, entries)

    def give(self, context: RecordContext, reached: Reached) -> None:
        """Grant a milestone's reward and announce it; once a period."""
        reward = self.grant(context, reached)
        if reward is not None:
            self.announce(context, reached, reward)

    def grant(self, context: RecordContext, reached: Reached) -> outputs.RewardLogRecord | None:
        """Write a milestone's reward down; None where it was given in this period, maybe while it
        belonged to something else. One that was taken back is given again."""
        milestone, member_id = reached.milestone, context.member_id
        reward_id = ids.reward_log_id(context.project, milestone.id, member_id, reached.period_key)
        key = reward_key(reward_id)
        before, at = self._entries.get(REWARD, key), context.recorded_at
        if before is None:
            reward = reward_of.initial(
                member_id,
                slug=reached.slug,
                linked_id=reached.linked_id,
                milestone_id=milestone.id,
                period_key=reached.period_key,
                at=at,
            )
        elif before.revoked_at is None:
            return None
        else:
            reward = reward_of.granted_again(
                before, slug=reached.slug, linked_id=reached.linked_id, at=at
            )
        self._entries.set(REWARD, key, reward)
        return reward_of.record(reward_id, reward, milestone.json)

    def is_given(self, context: RecordContext, milestone: Milestone, period_key: str) -> bool:
        """Tell whether a milestone's reward was given in a period, and not taken back."""
        id_ = ids.reward_log_id(context.project, milestone.id, context.member_id, period_key)
        reward = self._entries.get(REWARD, reward_key(id_))
        return reward is not None and reward.revoked_at is None

    def is_revoked(self, reward_id: str) -> bool:
        """Tell whether a reward was taken back, and not granted again."""
        reward = self._entries.get(REWARD, reward_key(reward_id))
        return reward is not None and reward.revoked_at is not None

    def announce(
        self, context: RecordContext, reached: Reached, reward: outputs.RewardLogRecord
    ) -> None:
        """Publish that it was reached, its reward, and the points that it gives."""
        milestone, version = reached.milestone, 0 if reward.version == 1 else reward.version
        context.emit(MILESTONE_REACHED, _record(context, reached), at=reached.at, version=version)
        granted = reward_of.changed(reward, milestone.version)
        context.emit(REWARD_GRANTED, granted, at=reached.at, version=version)
        if not milestone.points or (version and not self._gives_again(context, reward)):
            return
        entry = Entry(
            source=MILESTONE,
            source_id=reward.id,
            action_id=f"milestone:{milestone.id}",
            points=milestone.points,
            at=reached.at,
            group=reached.group,
            version=milestone.version,
            again=self._times_given(context, reward) if version else 0,
        )
        self._ledger.add(context, entry)

    def revoke(
        self, context: RecordContext, voiding: Voiding, milestone_id: str, period_key: str
    ) -> bool:
        """Take a reward back whose target is not reached any more, with its points, and publish
        that; return whether it was. One that was issued stays, and is said in the answer; so does
        one whose points cannot be taken back, as nothing says how many they were.

        The caller forgets that what was taken back was reached: reached again, it is given again.
        """
        reward_id = ids.reward_log_id(context.project, milestone_id, context.member_id, period_key)
        before = self._entries.get(REWARD, reward_key(reward_id))
        if before is None or before.revoked_at is not None:
            return False
        reference = outputs.RewardReference(
            reward_log_id=reward_id,
            milestone_id=milestone_id,
            member_id=context.member_id,
            period_key=period_key,
        )
        if before.issued_at is not None or self._may_keep_points(context, reward_id, before):
            voiding.not_revoked.append(reference)
            return False
        voiding.revoked.append(reference)
        after = reward_of.revoked(before, voiding.at)
        self._entries.set(REWARD, reward_key(reward_id), after)
        self._tell_revoked(context, voiding, reward_id, after)
        self._ledger.revoke(context, voiding, MILESTONE, reward_id)
        return True

    def _tell_revoked(
        self, context: RecordContext, voiding: Voiding, reward_id: str, after: Reward
    ) -> None:
        milestone = self._definitions.milestone(context.project, after.milestone_id)
        joined = outputs.NULL if milestone is None else milestone.json
        data = outputs.RewardRevoked(
            **msgspec.structs.asdict(reward_of.record(reward_id, after, joined)),
            definition_version=-1 if milestone is None else milestone.version,
            revoked_at=voiding.at,
            void_id=voiding.void_id,
            reason=voiding.command.reason,
        )
        context.emit(REWARD_REVOKED, data, at=voiding.at, version=after.version)

    def _may_keep_points(self, context: RecordContext, reward_id: str, reward: Reward) -> bool:
        """Tell whether revoking a reward would leave points of it that nobody remembers."""
        milestone = self._definitions.milestone(context.project, reward.milestone_id)
        gives = milestone is not None and milestone.points
        return bool(gives) and not self._is_known(context, reward_id, reward)

    def _gives_again(self, context: RecordContext, granted: outputs.RewardLogRecord) -> bool:
        """Tell whether a reward that is granted again gives points again: not where it may have
        kept some that nobody remembers."""
        reward = self._entries.get(REWARD, reward_key(granted.id))
        return reward is not None and self._is_known(context, granted.id, reward)

    def _is_known(self, context: RecordContext, reward_id: str, reward: Reward) -> bool:
        """Tell whether it is known what points a reward gave."""
        return reward.remembers or (self._ledger.granted(context, MILESTONE, reward_id) is not None)

    def _times_given(self, context: RecordContext, reward: outputs.RewardLogRecord) -> int:
        """Return how often a reward that is granted again gave points, at least once: its first
        entry has an id that no other is to have."""
        granted = self._ledger.granted(context, MILESTONE, reward.id)
        return 1 if granted is None else granted.times


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

"""Who reaches a milestone still, of those that may have given its reward, or would give it."""

from typing import NamedTuple

from processor.domain.aggregates import streak as streak_of
from processor.domain.aggregates.period import ALL_TIME
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.state_kinds import (
    ENROLMENT,
    PROGRESS,
    REWARD,
    STREAK,
    enrolment_key,
    progress_key,
    reward_key,
    streak_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids


class Holder(NamedTuple):
    """What may reach a milestone: a challenge, a streak or a pathway, by its slug and id."""

    slug: str
    id: str


class Holders:
    """What reached the milestones of one chunk's members, and was not made to fall short."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._entries = entries

    def is_held_elsewhere(
        self, context: RecordContext, milestone_id: str, period_key: str, *, but: Holder
    ) -> bool:
        """Tell whether something else reaches a milestone in the same period still: that which its
        reward was given by, or that which it belongs to by now. A milestone may be moved."""
        reward_id = ids.reward_log_id(context.project, milestone_id, context.member_id, period_key)
        reward = self._entries.get(REWARD, reward_key(reward_id))
        holders = {
            self._definitions.owner_of_milestone(context.project, milestone_id),
            None if reward is None else (reward.slug, reward.linked_id),
        }
        return any(
            self._reaches(context, Holder(*holder), milestone_id, period_key)
            for holder in sorted(each for each in holders if each is not None)
            if holder != but
        )

    def _reaches(
        self, context: RecordContext, holder: Holder, milestone_id: str, period_key: str
    ) -> bool:
        member_id = context.member_id
        if holder.slug == "challenge":
            place = progress_key(member_id, holder.id, period_key)
            progress = self._entries.get(PROGRESS, place)
            return progress is not None and milestone_id in progress.reached
        if holder.slug == "streak":
            state = self._entries.get(STREAK, streak_key(member_id, holder.id))
            return state is not None and streak_of.holds(state, milestone_id, period_key)
        enrolment = self._entries.get(ENROLMENT, enrolment_key(member_id, holder.id))
        return period_key == ALL_TIME and enrolment is not None and milestone_id in enrolment.given

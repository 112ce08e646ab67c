"""What a progress leads to when it rises: a challenge completed, milestones reached, what they
give."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw

from processor.domain.aggregates.challenge import Decided, Progress
from processor.domain.aggregates.points import Entry
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import CHALLENGE, MILESTONE, Ledger
from processor.domain.handlers.milestones import Milestones, Reached
from processor.domain.rules import Challenge
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.amounts import format_amount
from schemas.event_types import CHALLENGE_COMPLETED
from schemas.records import MorePoints


class Given(msgspec.Struct, frozen=True, gc=False):
    """A milestone that was reached, and its reward."""

    reached: Reached
    reward: outputs.RewardLogRecord


class Crossing(NamedTuple):
    """When a milestone was reached, and with what value."""

    at: datetime
    value: Raw


_NONE_CROSSED: Mapping[str, Crossing] = {}


class Achievements:
    """What the challenges of one chunk's members lead to."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._ledger = Ledger(definitions, entries)
        self._milestones = Milestones(definitions, entries)

    def grant(
        self,
        context: RecordContext,
        challenge: Challenge,
        period_key: str,
        decided: Decided,
        *,
        after: Progress,
        at: datetime,
        crossed: Mapping[str, Crossing] = _NONE_CROSSED,
    ) -> tuple[Decided, Sequence[Given]]:
        """Grant what was reached, but for what was given in this period by another challenge.

        It was reached at ``at`` with the value that there is, but for what ``crossed`` says, by
        milestone.
        """
        given = []
        for milestone in decided.reached:
            crossing = crossed.get(milestone.id)
            if crossing is None:
                crossing = Crossing(at, Raw(format_amount(after.shown).encode()))
            reached = Reached(
                slug="challenge",
                linked_id=challenge.id,
                milestone=milestone,
                period_key=period_key,
                value=crossing.value,
                at=crossing.at,
                group=challenge.group,
            )
            reward = self._milestones.grant(context, reached)
            if reward is not None:
                given.append(Given(reached, reward))
        return Decided(decided.completed, tuple(g.reached.milestone for g in given)), given

    def announce(
        self,
        context: RecordContext,
        challenge: Challenge,
        decided: Decided,
        given: Sequence[Given],
        *,
        after: Progress,
        record: outputs.ProgressRecord,
    ) -> None:
        """Publish what was decided, and give the points; ``record`` is that of ``after``."""
        if decided.completed:
            at = record.challenge_completed_at or record.updated_at
            data = progressed(record, challenge.version)
            context.emit(CHALLENGE_COMPLETED, data, at=at, version=after.reopened)
            if challenge.points:
                at = record.challenge_completed_at or context.present
                self.give_points(context, challenge, record.id, at, reopened=bool(after.reopened))
        for each in given:
            self._milestones.announce(context, each.reached, each.reward)

    def give_points(
        self,
        context: RecordContext,
        challenge: Challenge,
        progress_id: str,
        at: datetime,
        *,
        reopened: bool,
    ) -> None:
        """Give the points of a challenge that was completed at a moment; where its progress was
        ``reopened`` before, again only where they were taken back."""
        again = 0
        if reopened:
            before = self._ledger.granted(context, CHALLENGE, progress_id)
            if before is None or not before.withdrawn:
                return
            again = before.times
        entry = Entry(
            source=CHALLENGE,
            source_id=progress_id,
            action_id=f"challenge:{challenge.id}",
            points=challenge.points,
            at=at,
            group=challenge.group,
            version=challenge.version,
            again=again,
        )
        self._ledger.add(context, entry)

    def give_more(
        self,
        context: RecordContext,
        challenge: Challenge,
        period_key: str,
        more: MorePoints,
        recalculation_id: str,
    ) -> None:
        """Give the points that a recalculation found missing of a completion or a milestone, into
        the group of those that were given; none where they were taken back since."""
        member_id, milestone_id = context.member_id, more.milestone_id
        if milestone_id is None:
            source, action_id = CHALLENGE, f"challenge:{challenge.id}"
            id_ = ids.progress_id(context.project, challenge.id, member_id, period_key)
        else:
            source, action_id = MILESTONE, f"milestone:{milestone_id}"
            id_ = ids.reward_log_id(context.project, milestone_id, member_id, period_key)
        before = self._ledger.granted(context, source, id_)
        if before is not None and before.withdrawn:
            return
        if source == MILESTONE and self._milestones.is_revoked(id_):
            return
        entry = Entry(
            source=source,
            source_id=id_,
            action_id=action_id,
            points=more.points,
            at=more.at,
            group=challenge.group if before is None else before.group,
            version=challenge.version,
            again=0 if before is None else before.times - 1,
            recalculation_id=recalculation_id,
        )
        self._ledger.add(context, entry)


def progress_record(
    context: RecordContext, challenge_id: str, period_key: str, progress: Progress
) -> outputs.ProgressRecord:
    """Return a progress as the records face shows it."""
    return outputs.ProgressRecord(
        ids.progress_id(context.project, challenge_id, context.member_id, period_key),
        challenge_id,
        context.member_id,
        period_key,
        progress.method,
        progress.period,
        progress.timezone,
        Raw(format_amount(progress.shown).encode()),
        progress.status,
        progress.started_at,
        progress.completed_at,
        progress.failed_at,
        progress.created_at,
        progress.updated_at,
    )


def progressed(progress: outputs.ProgressRecord, version: int) -> outputs.ChallengeProgressed:
    """Return a progress as it is published; ``version`` is its challenge's definition's."""
    fields = msgspec.structs.asdict(progress)
    return outputs.ChallengeProgressed(**fields, definition_version=version)

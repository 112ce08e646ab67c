"""Challenge logs in a chunk: who, which challenge, seen before, counted or not; what follows."""

from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain import challenge as progress_of
from processor.domain import member as member_of
from processor.domain import reward as reward_of
from processor.domain.announce import Announcer
from processor.domain.challenge import Decided, Log, Progress
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.entries import log_key, progress_key
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.ledger import Ledger
from processor.domain.logged import Logged, Snapshot
from processor.domain.member import Member
from processor.domain.period import period_key
from processor.domain.points import Entry
from processor.domain.reward import Reward
from processor.domain.rules import Challenge, Milestone
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.instants import from_millis
from schemas.records import ChallengeLog, RecordError, activity_nanos, check_uuid

Answer = Callable[[], replies.Reply]


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """What a log leads to in the store, worked out before anything is read from it."""

    challenge: Challenge | None
    challenge_id: str
    log_id: str
    log_key: bytes
    period_key: str
    progress_key: bytes


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a log led to. ``value`` is its amount's text; ``progress`` None where none exists."""

    challenge: Challenge
    recorded_at: datetime
    value: str | None
    progress: Progress | None
    decided: Decided
    upcoming: Milestone | None
    rewards: list[outputs.RewardLogRecord]


class ChallengeLogs:
    """Steps through the challenge logs of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet, effects: Effects) -> None:
        self._definitions = definitions
        self._entries = entries
        self._counts = effects.counts
        self._announce = Announcer(effects)
        self._ledger = Ledger(entries, effects)

    def prepare(self, item: Read, log: ChallengeLog) -> Prepared:
        """Look the challenge up and name the entries that the log needs."""
        challenge_id = log.challenge_id.lower()
        challenge = self._definitions.challenge(item.project, challenge_id)
        if challenge is None:
            return Prepared(None, challenge_id, "", b"", "", b"")
        log_id = ids.challenge_log_id(
            item.project, challenge.id, item.member_id, log.unique_identifier
        )
        period = period_key(challenge.period, challenge.timezone, log.activity_at)
        key = progress_key(item.member_id, challenge.id, period)
        return Prepared(challenge, challenge.id, log_id, log_key(log_id), period, key)

    def keys(self, prepared: Prepared) -> tuple[bytes, ...]:
        """Name the entries to prefetch."""
        if prepared.challenge is None:
            return ()
        return prepared.log_key, prepared.progress_key

    def step(self, item: Read, log: ChallengeLog, prepared: Prepared, sequence: int) -> Answer:
        """Fold one log; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        challenge = prepared.challenge or self._unknown(prepared)
        not_ahead(item.input, "activityAt", log.activity_at)
        nanos = _nanos(log)
        seen = self._entries.logged(prepared.log_key)
        if seen is not None:
            self._counts["duplicates"] += 1
            return lambda: self._duplicate(item, log, prepared, challenge, seen)
        before = self._entries.progress(prepared.progress_key)
        method = (before or challenge).method
        if nanos is None and method == "sum":
            raise Refused(Reason.INVALID, "is required where the challenge sums", "activityValue")

        outcome = self._count(
            item, log, prepared, before, challenge=challenge, nanos=nanos, sequence=sequence
        )
        self._entries.set_logged(prepared.log_key, _logged(log, prepared, outcome))
        recorded = self._record(item, log, prepared, outcome)
        self._emit(item, prepared, recorded, outcome, sequence)
        return lambda: _created(recorded)

    def _count(
        self,
        item: Read,
        log: ChallengeLog,
        prepared: Prepared,
        before: Progress | None,
        *,
        challenge: Challenge,
        nanos: int | None,
        sequence: int,
    ) -> Outcome:
        """Bring member and progress up to the log, and grant what it reached."""
        at = from_millis(item.input.timestamp)
        member = self._member(item, log, at, sequence)
        after, decided = before, progress_of.NOTHING
        if (
            log.status == "live"
            and member.status == "live"
            and progress_of.counts(challenge, log.activity_id, log.activity_at)
        ):
            counted = Log(log.activity_at, nanos or 0, at)
            step = progress_of.step(before, counted, challenge)
            after, decided = step.after, step.decided
            if decided.reached:
                decided = self._not_given_yet(item, prepared, decided)
            self._entries.set_progress(prepared.progress_key, after)
            if before is None:
                self._await_end(prepared, challenge, after)
        return Outcome(
            challenge=challenge,
            recorded_at=at,
            value=None if nanos is None else format_amount(nanos),
            progress=after,
            decided=decided,
            upcoming=progress_of.next_milestone(after, challenge),
            rewards=self._grant(item, prepared, decided, at),
        )

    def _await_end(self, prepared: Prepared, challenge: Challenge, begun: Progress) -> None:
        """Have a tick look at a progress when it can no longer be completed in time."""
        if begun.status == progress_of.IN_PROGRESS:
            end = progress_of.ends(begun, challenge, prepared.period_key)
            if end is not None:
                self._entries.add_due(end, prepared.progress_key)

    def _unknown(self, prepared: Prepared) -> Challenge:
        try:
            check_uuid("challengeId", prepared.challenge_id)
        except RecordError as error:
            raise Refused(Reason.INVALID, error.message, error.field) from error
        raise Refused(Reason.UNKNOWN_CHALLENGE, "no such challenge", "challengeId")

    def _member(self, item: Read, log: ChallengeLog, at: datetime, sequence: int) -> Member:
        """Return the log's member, created or changed by what the log says of it."""
        before = self._entries.member(item.member_id)
        if log.owned_by is None:
            if (
                before is None
                or before.project != item.project
                or before.status == member_of.DELETED
            ):
                raise Refused(Reason.UNKNOWN_MEMBER, "no such member", "ownedById")
            return before
        base = before or member_of.initial(item.project, log.owned_by.external_id, at)
        after = member_of.evolve(base, log.owned_by, None, at)
        if member_of.decide(before, after):
            self._entries.set_member(item.member_id, after)
            self._announce.member(item.member_id, after, sequence)
        return after

    def _not_given_yet(self, item: Read, prepared: Prepared, decided: Decided) -> Decided:
        """Leave out what was given in this period while it belonged to another challenge."""
        new = tuple(
            milestone
            for milestone in decided.reached
            if self._entries.reward(_reward_id(item, prepared, milestone.id)) is None
        )
        return Decided(decided.completed, new)

    def _grant(
        self, item: Read, prepared: Prepared, decided: Decided, at: datetime
    ) -> list[outputs.RewardLogRecord]:
        rewards = []
        for milestone in decided.reached:
            reward_id = _reward_id(item, prepared, milestone.id)
            reward = _reward(item, prepared, milestone.id, at)
            self._entries.set_reward(reward_id, reward)
            rewards.append(reward_of.record(reward_id, reward, milestone.json))
        return rewards

    def _record(
        self, item: Read, log: ChallengeLog, prepared: Prepared, outcome: Outcome
    ) -> outputs.ChallengeLogRecorded:
        reached = [m.json for m in outcome.decided.reached]
        rewards, value, upcoming = outcome.rewards, outcome.value, outcome.upcoming
        return outputs.ChallengeLogRecorded(
            id=prepared.log_id,
            challenge_id=prepared.challenge_id,
            owned_by_id=item.member_id,
            activity_at=log.activity_at,
            activity_id=log.activity_id,
            unique_identifier=log.unique_identifier,
            activity_value=outputs.NULL if value is None else Raw(value.encode()),
            status=log.status,
            created_at=outcome.recorded_at,
            challenge=outcome.challenge.json,
            challenge_progress=None
            if outcome.progress is None
            else progress_record(
                item.project,
                item.member_id,
                prepared.challenge_id,
                prepared.period_key,
                outcome.progress,
            ),
            achieved_milestone=reached[-1] if reached else outputs.NULL,
            next_milestone=outputs.NULL if upcoming is None else upcoming.json,
            achieved_milestone_reward_log=rewards[-1] if rewards else None,
            achieved_milestones=reached,
            achieved_milestone_reward_logs=rewards,
            definition_version=outcome.challenge.version,
        )

    def _emit(
        self,
        item: Read,
        prepared: Prepared,
        recorded: outputs.ChallengeLogRecorded,
        outcome: Outcome,
        sequence: int,
    ) -> None:
        announce = self._announce
        announce.recorded(item.project, recorded, sequence)
        progress = recorded.challenge_progress
        if progress is None:
            return
        decided, at = outcome.decided, recorded.activity_at
        if decided.completed:
            announce.completed(item.project, progress, recorded.definition_version, sequence)
            self._give_points(item, outcome, progress, sequence)
        for milestone, reward in zip(
            decided.reached, recorded.achieved_milestone_reward_logs, strict=True
        ):
            reached_id = ids.milestone_reached_id(
                item.project, milestone.id, item.member_id, prepared.period_key
            )
            announce.reached(
                item.project,
                outputs.MilestoneReached(
                    id=reached_id,
                    owned_by_id=item.member_id,
                    milestone_id=milestone.id,
                    linked_schema_slug="challenge",
                    linked_schema_record_id=prepared.challenge_id,
                    period_key=prepared.period_key,
                    value=progress.current_progress_value,
                    reached_at=at,
                    milestone=milestone.json,
                    definition_version=milestone.version,
                ),
                sequence,
            )
            announce.granted(item.project, reward, at, milestone.version, sequence)
            if milestone.points:
                entry = Entry(
                    source="milestone",
                    source_id=reward.id,
                    action_id=f"milestone:{milestone.id}",
                    points=milestone.points,
                    at=at,
                    group=outcome.challenge.group,
                    version=milestone.version,
                )
                self._ledger.add(item.project, item.member_id, entry, outcome.recorded_at, sequence)

    def _give_points(
        self, item: Read, outcome: Outcome, progress: outputs.ProgressRecord, sequence: int
    ) -> None:
        """Give the points of a completed challenge."""
        challenge = outcome.challenge
        if challenge.points:
            entry = Entry(
                source="challenge",
                source_id=progress.id,
                action_id=f"challenge:{challenge.id}",
                points=challenge.points,
                at=progress.challenge_completed_at or outcome.recorded_at,
                group=challenge.group,
                version=challenge.version,
            )
            self._ledger.add(item.project, item.member_id, entry, outcome.recorded_at, sequence)

    def _duplicate(
        self, item: Read, log: ChallengeLog, prepared: Prepared, challenge: Challenge, seen: Logged
    ) -> replies.Reply:
        """Answer with the first answer: progress and rewards as after that log, joins as now."""
        key = progress_key(item.member_id, challenge.id, seen.period_key)
        now = self._entries.progress(key)
        then = None if now is None or seen.snapshot is None else _restore(now, seen.snapshot)
        first = msgspec.structs.replace(prepared, period_key=seen.period_key, progress_key=key)
        joined = [self._definitions.milestone(item.project, id_) for id_ in seen.reached]
        reached = tuple(milestone for milestone in joined if milestone is not None)
        first_log = msgspec.structs.replace(
            log,
            activity_at=seen.activity_at,
            activity_id=seen.activity_id,
            status=seen.status,
        )
        outcome = Outcome(
            challenge=challenge,
            recorded_at=seen.created_at,
            value=seen.value,
            progress=then,
            decided=Decided(False, reached),
            upcoming=self._definitions.milestone(item.project, seen.next or ""),
            rewards=self._rewards_then(item, first, seen),
        )
        record = self._record(item, first_log, first, outcome)
        if joined and joined[-1] is None:
            record.achieved_milestone = outputs.NULL
        body = replies.Refusal(
            code="duplicate",
            message="this uniqueIdentifier was logged before",
            errors=[replies.FieldError("uniqueIdentifier", "was logged before")],
            record=Raw(outputs.encode(_as_shown(record))),
        )
        return replies.Reply(409, Raw(msgspec.json.encode(body)))

    def _rewards_then(
        self, item: Read, first: Prepared, seen: Logged
    ) -> list[outputs.RewardLogRecord]:
        """Return the rewards as the log gave them: a coupon came later."""
        rewards = []
        for milestone_id in seen.reached:
            milestone = self._definitions.milestone(item.project, milestone_id)
            joined = outputs.NULL if milestone is None else milestone.json
            reward = _reward(item, first, milestone_id, seen.created_at)
            reward_id = _reward_id(item, first, milestone_id)
            rewards.append(reward_of.record(reward_id, reward, joined))
        return rewards


def progress_record(
    project: str, member_id: str, challenge_id: str, period_key: str, progress: Progress
) -> outputs.ProgressRecord:
    """Return a progress as the records face shows it."""
    return outputs.ProgressRecord(
        id=ids.progress_id(project, challenge_id, member_id, period_key),
        challenge_id=challenge_id,
        owned_by_id=member_id,
        period_key=period_key,
        aggregation_method=progress.method,
        aggregation_period=progress.period,
        timezone=progress.timezone,
        current_progress_value=Raw(format_amount(progress.shown).encode()),
        challenge_progress_status=progress.status,
        challenge_started_at=progress.started_at,
        challenge_completed_at=progress.completed_at,
        challenge_failed_at=progress.failed_at,
        created_at=progress.created_at,
        updated_at=progress.updated_at,
    )


def _reward_id(item: Read, prepared: Prepared, milestone_id: str) -> str:
    return ids.reward_log_id(item.project, milestone_id, item.member_id, prepared.period_key)


def _reward(item: Read, prepared: Prepared, milestone_id: str, at: datetime) -> Reward:
    return reward_of.initial(
        item.member_id,
        slug="challenge",
        linked_id=prepared.challenge_id,
        milestone_id=milestone_id,
        period_key=prepared.period_key,
        at=at,
    )


def _nanos(log: ChallengeLog) -> int | None:
    try:
        return activity_nanos(log.activity_value)
    except RecordError as error:
        raise Refused(Reason.INVALID, error.message, error.field) from error


def _logged(log: ChallengeLog, prepared: Prepared, outcome: Outcome) -> Logged:
    return Logged(
        outcome.recorded_at,
        log.activity_at,
        log.activity_id,
        log.status,
        outcome.value,
        prepared.period_key,
        None if outcome.progress is None else _snapshot(outcome.progress),
        tuple(m.id for m in outcome.decided.reached),
        None if outcome.upcoming is None else outcome.upcoming.id,
    )


def _snapshot(progress: Progress) -> Snapshot:
    return Snapshot(
        progress.total,
        progress.status,
        progress.started_at,
        progress.completed_at,
        progress.failed_at,
        progress.updated_at,
    )


def _restore(now: Progress, then: Snapshot) -> Progress:
    return msgspec.structs.replace(
        now,
        total=then.total,
        status=then.status,
        started_at=then.started_at,
        completed_at=then.completed_at,
        failed_at=then.failed_at,
        updated_at=then.updated_at,
    )


def _as_shown(recorded: outputs.ChallengeLogRecorded) -> outputs.ChallengeLogRecord:
    """Return the record as the HTTP face shows it: without the definition's version."""
    fields = msgspec.structs.asdict(recorded)
    del fields["definition_version"]
    return outputs.ChallengeLogRecord(**fields)


def _created(recorded: outputs.ChallengeLogRecorded) -> replies.Reply:
    return replies.Reply(201, Raw(outputs.encode(_as_shown(recorded))))

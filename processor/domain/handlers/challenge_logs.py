"""Challenge logs in a chunk: who, which challenge, seen before, counted or not; what follows."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache, partial

import msgspec
from msgspec import UNSET, Raw

from processor.domain.aggregates import challenge as challenge_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates import reward as reward_of
from processor.domain.aggregates.challenge import (
    COUNTED,
    FED,
    NOTHING,
    UNCOUNTED,
    Decided,
    Log,
    Progress,
    RecordedLog,
    mark,
    restore,
    snapshot,
)
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.period import period_key
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.handlers import looking
from processor.domain.handlers.achievements import Achievements, Given, progress_record
from processor.domain.handlers.apart import keep_apart
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.members import require_member, store_member
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.rules import Challenge, Milestone
from processor.domain.state_kinds import (
    LOG,
    MEMBER,
    PROGRESS,
    REWARD,
    log_key,
    member_key,
    progress_key,
    reward_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.event_types import CHALLENGE_LOG_RECORDED
from schemas.records import ChallengeLog, RecordError, activity_nanos, check_uuid


class PreparedLog(msgspec.Struct, frozen=True, gc=False):
    """What a log leads to in the store, worked out before anything is read from it."""

    challenge: Challenge | None
    challenge_id: str
    log_id: str
    log_key: bytes
    timezone: str
    period_key: str
    progress_key: bytes

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The entries that it needs, besides the member's."""
        return self.log_key, self.progress_key


class Amount(msgspec.Struct, frozen=True, gc=False):
    """A log's amount: its nanos, its shortest text, and that as JSON."""

    nanos: int | None
    text: str | None
    json: Raw


_NO_MILESTONES: Sequence[Given] = ()


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a log led to. ``value`` is its amount's JSON; ``progress`` None where none exists."""

    challenge: Challenge
    recorded_at: datetime
    value: Raw
    progress: Progress | None
    decided: Decided
    upcoming: Milestone | None
    rewards: list[outputs.RewardLogRecord]


class ChallengeLogs:
    """Steps through the challenge logs of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet, effects: Effects) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self.achievements = Achievements(definitions, entries)

    def prepare(self, item: Read, record: ChallengeLog) -> PreparedLog:
        """Look the challenge up and name the entries that the log needs."""
        challenge_id = record.challenge_id.lower()
        challenge = self._definitions.challenge(item.project, challenge_id)
        if challenge is None:
            return PreparedLog(None, challenge_id, "", b"", "", "", b"")
        log_id = ids.challenge_log_id(
            item.project, challenge.id, item.member_id, record.unique_identifier
        )
        zone = challenge.timezone
        period = period_key(challenge.period, zone, record.activity_at)
        key = progress_key(item.member_id, challenge.id, period)
        return PreparedLog(challenge, challenge.id, log_id, log_key(log_id), zone, period, key)

    def keys(self, item: Read, record: ChallengeLog, prepared: PreparedLog) -> tuple[bytes, ...]:  # noqa: ARG002
        """Name the entries to prefetch, besides the member's."""
        return () if prepared.challenge is None else prepared.keys

    def step(
        self,
        context: RecordContext,
        record: ChallengeLog,
        prepared: PreparedLog,
        *,
        fed: bool = False,
    ) -> Answer:
        """Fold one log, which an event may have ``fed``; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        challenge = prepared.challenge or self._unknown(prepared)
        at = context.recorded_at
        if record.activity_at > context.present:
            not_ahead(context.present, "activityAt", record.activity_at)
        if challenge.by_member:
            prepared = self._in_own_zone(context, record, prepared, challenge)
        before = self._entries.get(PROGRESS, prepared.progress_key)
        amount = _amount_of(record, (before or challenge).method)
        seen = self._entries.get(LOG, prepared.log_key)
        if seen is not None:
            context.repeat()
            return partial(self._duplicate, context, record, prepared, challenge, seen)
        if amount.nanos is None and (before or challenge).method == "sum":
            raise Refused(Reason.INVALID, "is required where the challenge sums", "activityValue")

        member = self._member(context, record)
        after, decided, given = before, NOTHING, _NO_MILESTONES
        counts = (
            record.status == "live"
            and member.status == "live"
            and challenge_of.counts(challenge, record.activity_id, record.activity_at)
        )
        if counts:
            counted = Log(record.activity_at, amount.nanos or 0, at)
            after, decided, given = self._count(context, prepared, before, counted, challenge)
            if context.trace is not None:
                looking.at_counted(context.trace, challenge, before, after, decided)
        elif before is not None and challenge.ends_at is not None:  # set or moved since
            self._await_end(prepared, challenge, before)
        if context.trace is not None and not counts:
            why = challenge_of.uncounted_because(
                challenge,
                record.activity_id,
                log_lives=record.status == "live",
                member_lives=member.status == "live",
            )
            looking.at_uncounted(context.trace, challenge, why)
        upcoming = challenge_of.next_milestone(after, challenge)
        rewards = [g.reward for g in given]
        outcome = Outcome(challenge, at, amount.json, after, decided, upcoming, rewards)
        did = (COUNTED if counts else UNCOUNTED) | (FED if fed else 0)
        kept = _kept(context, record, prepared, outcome, value=amount.text, did=did)
        self._entries.set(LOG, prepared.log_key, kept)
        recorded = _recorded(context, record, prepared, outcome)
        context.emit(CHALLENGE_LOG_RECORDED, recorded, at=recorded.activity_at)
        if decided is not NOTHING:
            assert after is not None
            assert recorded.challenge_progress is not None
            self.achievements.announce(
                context, challenge, decided, given, after=after, record=recorded.challenge_progress
            )
        return partial(_created, recorded)

    def _count(
        self,
        context: RecordContext,
        prepared: PreparedLog,
        before: Progress | None,
        counted: Log,
        challenge: Challenge,
    ) -> tuple[Progress, Decided, Sequence[Given]]:
        """Bring the progress up to a log that counts; say what there is to announce."""
        begun = before or challenge_of.initial(challenge, counted, prepared.timezone)
        after = challenge_of.evolve(begun, counted, challenge)
        decided = challenge_of.decide(begun, after, challenge)
        given = _NO_MILESTONES
        if decided.reached:
            decided, given = self.achievements.grant(
                context, challenge, prepared.period_key, decided, after=after, at=counted.at
            )
        self._entries.set(PROGRESS, prepared.progress_key, after)
        if begun.method != challenge.method:
            was, would_be = (
                challenge_of.added(counted.nanos, each) for each in (begun.method, challenge.method)
            )
            keep_apart(self._entries, prepared.progress_key, would_be - was)
        if before is None or challenge.ends_at is not None:  # it may have been moved since
            self._await_end(prepared, challenge, after)
        return after, decided, given

    def _await_end(self, prepared: PreparedLog, challenge: Challenge, begun: Progress) -> None:
        """Have a tick look at a progress when it can no longer be completed in time."""
        if begun.status == challenge_of.IN_PROGRESS:
            end = challenge_of.ends(begun, challenge, prepared.period_key)
            if end is not None:
                self._entries.add_due(end, prepared.progress_key)

    def _in_own_zone(
        self,
        context: RecordContext,
        record: ChallengeLog,
        prepared: PreparedLog,
        challenge: Challenge,
    ) -> PreparedLog:
        """Return what a log leads to in its member's zone, which was not known when it was read.

        What the log itself says of its member holds for it already.
        """
        owner = record.owned_by
        if owner is not None and owner.timezone is not UNSET:
            own = owner.timezone
        else:
            member = self._entries.get(MEMBER, member_key(context.member_id))
            own = None if member is None else member.timezone
        zone = member_of.zone(challenge, own)
        if zone == prepared.timezone:
            return prepared
        period = period_key(challenge.period, zone, record.activity_at)
        key = progress_key(context.member_id, challenge.id, period)
        return msgspec.structs.replace(prepared, timezone=zone, period_key=period, progress_key=key)

    def _unknown(self, prepared: PreparedLog) -> Challenge:
        try:
            check_uuid("challengeId", prepared.challenge_id)
        except RecordError as error:
            raise Refused(Reason.INVALID, error.message, error.field) from error
        raise Refused(Reason.UNKNOWN_CHALLENGE, "no such challenge", "challengeId")

    def _member(self, context: RecordContext, record: ChallengeLog) -> Member:
        """Return the log's member, created or changed by what the log says of it."""
        if record.owned_by is None:
            return require_member(self._entries, context, "ownedById")
        before = self._entries.get(MEMBER, member_key(context.member_id))
        owner, at = record.owned_by, context.recorded_at
        base = before or member_of.initial(context.project, owner.external_id, at)
        try:
            after = member_of.evolve(base, owner, None, at)
        except Refused as refused:
            raise Refused(refused.reason, refused.message, f"ownedBy.{refused.field}") from refused
        store_member(self._entries, context, before, after)
        return after

    def _duplicate(
        self,
        context: RecordContext,
        record: ChallengeLog,
        prepared: PreparedLog,
        challenge: Challenge,
        seen: RecordedLog,
    ) -> replies.Reply:
        """Answer with the first answer: progress and rewards as after that log, joins as now."""
        key = progress_key(context.member_id, challenge.id, seen.period_key)
        now = self._entries.get(PROGRESS, key)
        then = None if now is None or seen.snapshot is None else restore(now, seen.snapshot)
        first = msgspec.structs.replace(prepared, period_key=seen.period_key, progress_key=key)
        joined = [self._definitions.milestone(context.project, id_) for id_, _ in seen.achieved]
        reached = tuple(milestone for milestone in joined if milestone is not None)
        first_log = msgspec.structs.replace(
            record,
            activity_at=seen.activity_at,
            activity_id=seen.activity_id,
            status=seen.status,
        )
        outcome = Outcome(
            challenge=challenge,
            recorded_at=seen.created_at,
            value=outputs.NULL if seen.value is None else Raw(seen.value.encode()),
            progress=then,
            decided=Decided(False, reached),
            upcoming=self._definitions.milestone(context.project, seen.next or ""),
            rewards=self._rewards_then(context, first, seen),
        )
        recorded = _recorded(context, first_log, first, outcome)
        if joined and joined[-1] is None:
            recorded.achieved_milestone = outputs.NULL
        return replies.duplicate(Raw(outputs.encode(_as_shown(recorded))))

    def _rewards_then(
        self, context: RecordContext, first: PreparedLog, seen: RecordedLog
    ) -> list[outputs.RewardLogRecord]:
        """Return the rewards as the log gave them: a coupon came later."""
        rewards = []
        for milestone_id, version in seen.achieved:
            milestone = self._definitions.milestone(context.project, milestone_id)
            joined = outputs.NULL if milestone is None else milestone.json
            reward = reward_of.initial(
                context.member_id,
                slug="challenge",
                linked_id=first.challenge_id,
                milestone_id=milestone_id,
                period_key=first.period_key,
                at=seen.created_at,
            )
            reward_id = ids.reward_log_id(
                context.project, milestone_id, context.member_id, first.period_key
            )
            now = self._entries.get(REWARD, reward_key(reward_id)) if version > 1 else None
            if now is not None:  # it was granted before, and revoked
                reward = msgspec.structs.replace(reward, created_at=now.created_at, version=version)
            rewards.append(reward_of.record(reward_id, reward, joined))
        return rewards


def _recorded(
    context: RecordContext, log: ChallengeLog, prepared: PreparedLog, outcome: Outcome
) -> outputs.ChallengeLogRecorded:
    reached = [m.json for m in outcome.decided.reached]
    progress, rewards, upcoming = outcome.progress, outcome.rewards, outcome.upcoming
    challenge_id, member_id = prepared.challenge_id, context.member_id
    return outputs.ChallengeLogRecorded(
        prepared.log_id,
        challenge_id,
        member_id,
        log.activity_at,
        log.activity_id,
        log.unique_identifier,
        outcome.value,
        log.status,
        outcome.recorded_at,
        outcome.challenge.json,
        None
        if progress is None
        else progress_record(context, challenge_id, prepared.period_key, progress),
        reached[-1] if reached else outputs.NULL,
        outputs.NULL if upcoming is None else upcoming.json,
        rewards[-1] if rewards else None,
        reached,
        rewards,
        outcome.challenge.version,
    )


def _amount_of(log: ChallengeLog, method: str) -> Amount:
    """Return a log's amount; where logs are counted, what is none is as if it were not there.

    Raises:
        Refused: what it has is none, and it is to be summed.
    """
    try:
        return _amount(bytes(log.activity_value))
    except RecordError as error:
        if method == "count":
            return Amount(None, None, outputs.NULL)
        raise Refused(Reason.INVALID, error.message, error.field) from error


@lru_cache(maxsize=65536)  # prices and counts repeat
def _amount(value: bytes) -> Amount:
    nanos = activity_nanos(Raw(value))
    if nanos is None:
        return Amount(None, None, outputs.NULL)
    text = format_amount(nanos)
    return Amount(nanos, text, Raw(text.encode()))


def _kept(
    context: RecordContext,
    log: ChallengeLog,
    prepared: PreparedLog,
    outcome: Outcome,
    *,
    value: str | None,
    did: int,
) -> RecordedLog:
    """Return what is remembered of a log."""
    progress, reached, upcoming = outcome.progress, outcome.decided.reached, outcome.upcoming
    return RecordedLog(
        outcome.recorded_at,
        log.activity_at,
        log.activity_id,
        log.status,
        value,
        prepared.period_key,
        None if progress is None else snapshot(progress),
        _reached(reached, outcome.rewards) if reached else (),
        None if upcoming is None else upcoming.id,
        did,
        mark(prepared.challenge_id, context.member_id),
    )


def _reached(
    milestones: Sequence[Milestone], rewards: Sequence[outputs.RewardLogRecord]
) -> tuple[str, ...]:
    """Return what is remembered of the milestones that a log reached; each has its reward."""
    return tuple(
        m.id if reward.version == 1 else f"{m.id}@{reward.version}"
        for m, reward in zip(milestones, rewards, strict=True)
    )


def _as_shown(recorded: outputs.ChallengeLogRecorded) -> outputs.ChallengeLogRecord:
    """Return the record as the HTTP face shows it: without the definition's version."""
    fields = msgspec.structs.asdict(recorded)
    del fields["definition_version"]
    return outputs.ChallengeLogRecord(**fields)


def _created(recorded: outputs.ChallengeLogRecorded) -> replies.Reply:
    return replies.Reply(201, Raw(outputs.encode(_as_shown(recorded))))

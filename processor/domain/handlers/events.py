"""Events in a chunk: which one, by whom, its points; then what it moves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from processor.domain.aggregates import boost as boost_of
from processor.domain.aggregates import event as event_of
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.boost import Multiplied
from processor.domain.aggregates.event import Decided, Did, LimitUsage, LoggedEvent, Said
from processor.domain.aggregates.member import Member
from processor.domain.aggregates.period import local_date, local_hour, period_key
from processor.domain.aggregates.points import Entry
from processor.domain.aggregates.work import Work, work_on
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import Common, FastPath
from processor.domain.handlers import looking, multipliers
from processor.domain.handlers.challenge_logs import ChallengeLogs, PreparedLog
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.ledger import Ledger
from processor.domain.handlers.members import require_member
from processor.domain.handlers.streaks import Streaks
from processor.domain.handlers.tiers import Tiers
from processor.domain.inputs import Read, Refused, not_ahead
from processor.domain.rules import Event, Streak, Subscriptions, TierSet
from processor.domain.state_kinds import (
    ANSWER,
    LIMIT,
    answer_key,
    balances_key,
    challenge_bytes,
    slot_of,
    tier_key,
    used_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.dead_letter import Reason
from schemas.dry_runs import MEMBER_NOT_LIVE, NO_VALUE
from schemas.event_types import EVENT_LOGGED
from schemas.instants import from_millis
from schemas.records import ChallengeLog
from schemas.records import Event as EventRecord

LOGGED = "Event erfolgreich geloggt"
LIMIT_REACHED = "Event Limit erreicht"

_NO_RIGHT = 403
_NO_SUCH_USER = "no such user in the project"


class FedLog(msgspec.Struct, frozen=True, gc=False):
    """The challenge log that an event becomes, and what the fast path or Python made of it."""

    item: Read
    record: ChallengeLog
    prepared: Common | PreparedLog


class PreparedEvent(msgspec.Struct, frozen=True, gc=False):
    """What an event leads to in the store, worked out before anything is read from it."""

    event: Event | None
    log_id: str
    answer_key: bytes
    at: datetime
    zone: str
    used_key: bytes
    metadata: Mapping[str, Any]
    wrong: Refused | None
    """Why the metadata cannot be read; said after what comes before it in order."""
    subscriptions: Subscriptions
    logs: tuple[FedLog, ...]


_UNKNOWN = PreparedEvent(
    None, "", b"", from_millis(0), "UTC", b"", {}, None, Subscriptions((), ()), ()
)


class Events:
    """Steps through the events of one chunk."""

    def __init__(
        self,
        definitions: Definitions,
        entries: WorkingSet,
        effects: Effects,
        *,
        logs: ChallengeLogs,
        fast_path: FastPath,
        tiers: Tiers,
    ) -> None:
        self._definitions = definitions
        self._entries = entries
        self._effects = effects
        self._logs = logs
        self._fast_path = fast_path
        self._tiers = tiers
        self._ledger = Ledger(definitions, entries)
        self._streaks = Streaks(definitions, entries)

    def prepare(self, item: Read, record: EventRecord) -> PreparedEvent:
        """Look the event up and name the entries that it needs."""
        return self._prepared(item, record, record.occurred_at or from_millis(item.input.timestamp))

    def _prepared(self, item: Read, record: EventRecord, at: datetime) -> PreparedEvent:
        event = self._definitions.event(item.project, record.event_id)
        if event is None:
            return _UNKNOWN
        metadata: Mapping[str, Any] = {}
        wrong = None
        try:
            event_of.check_size(record, self._definitions.limits(item.project))
            metadata = event_of.decode_metadata(record.metadata)
        except Refused as refused:
            wrong = refused.anew()
        log_id = _log_id(item, record)
        zone = self._definitions.timezone(item.project)
        subscriptions = self._definitions.subscribers_of(item.project, event.id)
        return PreparedEvent(
            event,
            log_id,
            answer_key(log_id),
            at,
            zone,
            _used_key(item.member_id, event, zone, at),
            metadata,
            wrong,
            subscriptions,
            tuple(
                self._fed_logs(item, subscriptions, log_id, at=at, event=event, metadata=metadata)
            ),
        )

    def keys(self, item: Read, record: EventRecord, prepared: PreparedEvent) -> list[bytes]:
        """Name the entries to prefetch, besides the member's."""
        event = prepared.event
        if event is None:
            return []
        keys = [balances_key(item.member_id)]
        if event.limit is not None:
            keys.append(prepared.used_key)
        if record.idempotency_key is not None:
            keys.append(prepared.answer_key)
        if prepared.subscriptions.tier_sets:
            tier_sets = prepared.subscriptions.tier_sets
            keys.extend(tier_key(item.member_id, tier_set.id) for tier_set in tier_sets)
        for log in prepared.logs:
            keys += log.prepared.keys
        for streak in prepared.subscriptions.streaks:
            keys += self._streaks.keys(item.member_id, streak, prepared.at)
        return keys

    def step(self, context: RecordContext, record: EventRecord, prepared: PreparedEvent) -> Answer:
        """Fold one event; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        if record.occurred_at is None and context.present is not context.recorded_at:
            prepared = self._at_present(context, record)
        event = _usable(prepared.event, record)
        member = require_member(self._entries, context, message=_NO_SUCH_USER)
        if prepared.wrong is not None:
            raise prepared.wrong.anew()
        not_ahead(context.present, "occurredAt", prepared.at)
        event_of.check_metadata(event, prepared.metadata)
        if record.idempotency_key is not None:
            answered = self._entries.get(ANSWER, prepared.answer_key)
            if answered is not None:
                context.repeat()
                return lambda: replies.Reply(200, _answer(event_of.said(answered)))

        slot = None
        if event.limit is not None:
            slot = self._slot(context, prepared, event, member)
        decided, multiplied = self._decide(context, record, prepared, event, member, slot=slot)
        earned, offer = decided.points, None
        if earned:
            offer = self._ledger.offer(context, event.group, earned, prepared.at)
            if offer is not None:
                decided = replace(decided, points=offer.points)
        logged = self._logged(context, record, prepared, event, member=member, decided=decided)
        context.emit(EVENT_LOGGED, logged, at=logged.occurred_at)
        if earned or (multiplied is not None and multiplied.base):
            self._ledger.add(context, _entry(logged, multiplied), offer)
        live, periods = member.status == member_of.LIVE, _NO_PERIODS
        if decided.condition_reached:
            periods = self._fan_out(context, prepared, record, live=live)
        if record.idempotency_key is not None:
            taken = slot if live and decided.takes_slot else None
            fed = decided.condition_reached and live
            did = _did(context.project, event, prepared, taken, periods, fed=fed)
            said = _raw(Said(*_said(logged)))
            self._entries.set(ANSWER, prepared.answer_key, LoggedEvent(said, did))
        return lambda: replies.Reply(200, _answer(Said(*_said(logged))))

    def _at_present(self, context: RecordContext, record: EventRecord) -> PreparedEvent:
        """Return what an event that does not say when it happened leads to, by the clock that its
        member goes by: what that shows was not known when the event was read."""
        assert context.source is not None
        item = Read(context.source, record, context.project, context.member_id)
        return self._prepared(item, record, context.present)

    def _slot(
        self, context: RecordContext, prepared: PreparedEvent, event: Event, member: Member
    ) -> bytes:
        """Return the key of how much is used of the event's limit."""
        if not event.by_member:
            return prepared.used_key
        zone = member_of.zone(event, member.timezone)
        return _used_key(context.member_id, event, zone, prepared.at)

    def _decide(
        self,
        context: RecordContext,
        record: EventRecord,
        prepared: PreparedEvent,
        event: Event,
        member: Member,
        *,
        slot: bytes | None,
    ) -> tuple[Decided, Multiplied | None]:
        """Judge the event, and take a slot of its limit where it earns one; return what multiplied
        its points as well."""
        used = None if slot is None else self._entries.get(LIMIT, slot)
        used = used or LimitUsage()
        groups = member.groups if record.by_end_user else None
        live = member.status == member_of.LIVE
        facts = self._tiers.facts(context, member) if event.asks_member else None
        metadata, work = prepared.metadata, work_on(record.metadata)
        decided = event_of.decide(
            event, metadata, used, groups, earns=live, member=facts, work=work
        )
        if context.trace is not None:
            self._look_at_event(context, record, prepared, decided, used, member=member)
        if slot is not None and decided.takes_slot and live:
            self._entries.set(LIMIT, slot, LimitUsage(used.slots + 1))
        subscriptions = prepared.subscriptions
        multiply = subscriptions.boosts or subscriptions.tier_sets
        if not (multiply and live and decided.takes_slot):
            return decided, None
        tiers = [
            (tier_set, self._tiers.in_force(context, member, tier_set))
            for tier_set in subscriptions.tier_sets
        ]
        multiplied = multipliers.multiplied(
            event,
            decided,
            subscriptions.boosts,
            tiers,
            metadata=metadata,
            at=prepared.at,
            member=facts or self._tiers.facts(context, member),
            work=work,
        )
        if context.trace is not None:
            self._look_at_multipliers(context, record, prepared, tiers, multiplied, member=member)
        if multiplied is not None:
            decided = msgspec.structs.replace(decided, points=multiplied.points)
        return decided, multiplied

    def _look_at_event(
        self,
        context: RecordContext,
        record: EventRecord,
        prepared: PreparedEvent,
        decided: Decided,
        used: LimitUsage,
        *,
        member: Member,
    ) -> None:
        """Tell what an event's conditions, its limit and its maximum came to."""
        trace, event, metadata = context.trace, prepared.event, prepared.metadata
        assert trace is not None
        assert event is not None
        earns = member.status == member_of.LIVE
        comparisons = self._comparisons(context, record, metadata, member)
        looking.at_event(trace, event, decided, used, comparisons, earns=earns)
        takes = earns and decided.takes_slot
        if takes and event.type == "TRANSACTION" and event.maximum is not None:
            unbounded = event_of.unbounded_points(event, metadata, decided.user_group)
            looking.at_maximum(trace, event, max(unbounded, 0), decided.points)

    def _look_at_multipliers(
        self,
        context: RecordContext,
        record: EventRecord,
        prepared: PreparedEvent,
        tiers: Sequence[tuple[TierSet, str | None]],
        multiplied: Multiplied | None,
        *,
        member: Member,
    ) -> None:
        """Tell which tiers and boosts act on an event's points."""
        trace, metadata = context.trace, prepared.metadata
        assert trace is not None
        looking.at_tiers(trace, tiers)
        facts = self._tiers.facts_as_kept(context, member)
        running = prepared.subscriptions.boosts.running(prepared.at)
        work = _work_of_telling(record)
        applying = {each.id for each in running if boost_of.applies(each, metadata, facts, work)}
        acted = () if multiplied is None else multiplied.boosts
        comparisons = self._comparisons(context, record, metadata, member)
        looking.at_boosts(trace, running, applying, acted, comparisons)

    def _comparisons(
        self,
        context: RecordContext,
        record: EventRecord,
        metadata: Mapping[str, Any],
        member: Member,
    ) -> looking.Comparisons:
        facts, work = self._tiers.facts_as_kept(context, member), _work_of_telling(record)
        return looking.Comparisons(self._definitions, context.project, metadata, facts, work)

    def _logged(
        self,
        context: RecordContext,
        record: EventRecord,
        prepared: PreparedEvent,
        event: Event,
        *,
        member: Member,
        decided: Decided,
    ) -> outputs.EventLogged:
        zone = prepared.zone
        return outputs.EventLogged(
            user_id=member.external_id,
            event_id=event.id,
            points=decided.points,
            type=event.type,
            title=event.title,
            limit=event.limit,
            maximum_reward=event.maximum_json,
            metadata=record.metadata if prepared.metadata else _EMPTY,
            condition_reached=decided.condition_reached,
            limit_reached=decided.limit_reached,
            user_group_id=decided.user_group,
            id=prepared.log_id,
            owned_by_id=context.member_id,
            challenge_group=event.group,
            idempotency_key=record.idempotency_key,
            ip=record.ip,
            occurred_at=prepared.at,
            created_at=context.recorded_at,
            local_date=local_date(zone, prepared.at).isoformat(),
            local_hour=local_hour(zone, prepared.at),
            definition_version=event.version,
        )

    def _fed_logs(
        self,
        item: Read,
        subscriptions: Subscriptions,
        log_id: str,
        *,
        at: datetime,
        event: Event,
        metadata: Mapping[str, Any],
    ) -> list[FedLog]:
        logs = []
        values: dict[tuple[str | None, str], Raw | None] = {}
        for challenge in subscriptions.challenges:
            by = challenge.value_field, challenge.method
            if by not in values:  # a number may be long, and many challenges name it
                values[by] = event_of.value_for(challenge, metadata)
            value = values[by]
            if value is None:
                continue
            log = ChallengeLog(
                challenge_id=challenge.id,
                activity_at=at,
                activity_id=event.id,
                unique_identifier=log_id,
                project=item.project,
                owned_by_id=item.member_id,
                activity_value=value,
            )
            fast = self._fast_path.feed(log, item.project, item.member_id, item.input.timestamp)
            logs.append(FedLog(item, log, fast or self._logs.prepare(item, log)))
        return logs

    def _fan_out(
        self, context: RecordContext, prepared: PreparedEvent, record: EventRecord, *, live: bool
    ) -> Sequence[str]:
        """Move the challenges and streaks that name the event, which is of a ``live`` member's or
        moves nothing; return the streaks' periods."""
        subscriptions, trace = prepared.subscriptions, context.trace
        if not live:
            if trace is not None:
                looking.at_all_uncounted(trace, subscriptions.challenges, MEMBER_NOT_LIVE)
            return _NO_PERIODS
        self._effects.count("not_fed", len(subscriptions.challenges) - len(prepared.logs))
        for log in prepared.logs:
            self._feed(context, log)
        if trace is not None:
            fed = {log.record.challenge_id for log in prepared.logs}
            unfed = [each for each in subscriptions.challenges if each.id not in fed]
            looking.at_all_uncounted(trace, unfed, NO_VALUE)
        if not subscriptions.streaks:
            return _NO_PERIODS
        voidable = record.idempotency_key is not None
        return self.hit(context, subscriptions.streaks, prepared.at, voidable=voidable)

    def hit(
        self,
        context: RecordContext,
        streaks: Sequence[Streak],
        at: datetime,
        *,
        voidable: bool,
    ) -> Sequence[str]:
        """Count an event of a live member's for streaks; return the keys of their periods."""
        member, hit = require_member(self._entries, context), self._streaks.hit
        return [hit(context, member, streak, at, voidable=voidable) for streak in streaks]

    def feed(self, context: RecordContext, prepared: PreparedEvent, place: int) -> None:
        """Fold one of the logs that an event feeds."""
        self._feed(context, prepared.logs[place])

    def _feed(self, context: RecordContext, log: FedLog) -> None:
        prepared = log.prepared
        if not isinstance(prepared, PreparedLog):
            if context.trace is None and self._fast_path.step(prepared, context.sequence):
                return
            prepared = self._logs.prepare(log.item, log.record)
        try:
            self._logs.step(context, log.record, prepared, fed=True)
        except Refused:  # a progress that began as a sum, and no value; nothing was changed
            self._effects.count("not_fed")
            if context.trace is not None and prepared.challenge is not None:
                looking.at_uncounted(context.trace, prepared.challenge, NO_VALUE)


def _work_of_telling(record: EventRecord) -> Work:
    """Return work of a trace: it has more room, so that no trace changes what comes of a record."""
    work = work_on(record.metadata)
    work.most *= 2
    return work


_NO_PERIODS: Sequence[str] = ()
_EMPTY = Raw(b"{}")


def _usable(event: Event | None, record: EventRecord) -> Event:
    if event is None:
        raise Refused(Reason.UNKNOWN_EVENT, "no such event", "eventId")
    if not event.active:
        raise Refused(Reason.INACTIVE, "the event is not active", "eventId")
    if event.requires_api_key and not record.with_api_key:
        raise Refused(Reason.INVALID, "this event needs an API key", "eventId", _NO_RIGHT)
    return event


def _used_key(member_id: str, event: Event, zone: str, at: datetime) -> bytes:
    return used_key(member_id, event.id, period_key(event.limit_period, zone, at))


def _log_id(item: Read, record: EventRecord) -> str:
    if record.idempotency_key is not None:
        return ids.event_log_id(item.project, item.member_id, record.idempotency_key)
    source = item.input
    return ids.placed_event_log_id(item.project, source.topic, source.partition, source.offset)


def _answer(said: Said) -> Raw:
    message = LIMIT_REACHED if said.limit_reached else LOGGED
    data = outputs.EventAnswer(*msgspec.structs.astuple(said))
    return _raw(outputs.EventReply(message=message, data=data))


def _raw(struct: msgspec.Struct) -> Raw:
    return Raw(outputs.encode(struct))


_said = attrgetter(*Said.__struct_fields__)


def _did(
    project: str,
    event: Event,
    prepared: PreparedEvent,
    slot: bytes | None,
    periods: Sequence[str],
    *,
    fed: bool,
) -> Did:
    """Return what is remembered of an event with a key: ``fed`` tells whether it moved what names
    it, ``periods`` are those of the streaks."""
    challenges: tuple[bytes, ...] = ()
    hits: tuple[tuple[str, str], ...] = ()
    if fed and prepared.logs:
        challenges = tuple([challenge_bytes(log.record.challenge_id) for log in prepared.logs])
    if periods:
        streaks = prepared.subscriptions.streaks
        hits = tuple([(s.id, at) for s, at in zip(streaks, periods, strict=True)])
    taken = None if slot is None else slot_of(slot)
    return Did(project, event.group, prepared.at, prepared.zone, taken, challenges, hits)


def _entry(logged: outputs.EventLogged, multiplied: Multiplied | None) -> Entry:
    return Entry(
        source="event",
        source_id=logged.id,
        action_id=logged.event_id,
        points=logged.points,
        at=logged.occurred_at,
        group=logged.challenge_group,
        event_id=logged.event_id,
        user_group=logged.user_group_id,
        ip=logged.ip,
        version=logged.definition_version,
        multiplied=multiplied,
    )

"""Where the inputs lie that led to something: by their places in the order that they were folded
in, through ``chunk-log``, to where each was first sent."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from api.kafka.chunk_finder import ChunkFinder
from api.kafka.chunk_log import Chunk
from api.kafka.record_reader import RecordReader, Removed
from processor.domain.inputs import Input, Read, Refused, as_it_came, as_it_lay_first, read
from schemas import ids
from schemas.instants import millis_of
from schemas.records import (
    ActivityLog,
    AdjustPoints,
    AssignTier,
    CaptureHold,
    ChallengeLog,
    CorrectProgress,
    Enrol,
    Event,
    RedeemPoints,
    ReviewActivity,
    SpendPoints,
    Void,
)
from schemas.topics import (
    ACTIVITY_LOGS,
    CHALLENGE_LOGS,
    EVENTS,
    FORWARDED,
    MEMBER_COMMANDS,
    TICKS,
)

SPAN_BYTES = 1024 * 1024
MOST_SPANNED = 64
"""Fetches of one chunk that has gaps, or of where a record that waited may lie: 64 MiB."""

_MAY_WAIT = (CHALLENGE_LOGS, EVENTS, ACTIVITY_LOGS, MEMBER_COMMANDS, FORWARDED)

Check = Callable[[Read], bool]
"""Tells whether an input is the one that is looked for."""


class Wanted(NamedTuple):
    """An input that led to something.

    Attributes:
        sequence: the place in the order of what it led to.
        topic: where it was sent; None: on whatever topic.
        check: tells whether a record is it; None: whatever came there is.
        recorded_at: the record's timestamp.
        is_sure: what came on the topic at that place is it: nothing that had waited came with it.
    """

    sequence: int
    topic: str | None = None
    check: Check | None = None
    recorded_at: datetime | None = None
    is_sure: bool = False


class Place(NamedTuple):
    """Where an input was first sent, topic without prefix; and the chunk that folded it.

    ``timestamp`` is its record's, None where that was not looked at.
    """

    topic: str
    partition: int
    offset: int
    chunk: Chunk
    timestamp: int | None


class Places:
    """Finds the inputs of one partition's order."""

    def __init__(self, reader: RecordReader, finder: ChunkFinder, partition: int) -> None:
        self._reader = reader
        self._finder = finder
        self._partition = partition

    async def definitions_at(self, sequence: int) -> int:
        """Return the offset of the first definition that the input of a place was folded without;
        see ``find``."""
        return (await self._finder.chunks_of(self._partition, {sequence}))[sequence].definitions

    async def find(self, wanted: Sequence[Wanted]) -> Sequence[Place]:
        """Return where each input lies.

        Raises:
            Removed: one of them was removed, or what tells its place.
            KafkaError: the broker does not answer.
        """
        chunks = await self._finder.chunks_of(self._partition, {w.sequence for w in wanted})
        found = [await self._find(each, chunks[each.sequence]) for each in wanted]
        for each, is_there in zip(found, await self._are_there(found), strict=True):
            if not is_there:
                raise Removed(f"{each.topic} {each.partition}: {each.offset}")
        return found

    async def find_left(self, wanted: Sequence[Wanted]) -> Sequence[Place | None]:
        """Return where each input lies, None for those that were removed; see ``find``."""
        sequences = {each.sequence for each in wanted}
        chunks = await self._finder.chunks_left_of(self._partition, sequences)
        found = [await self._find_left(each, chunks.get(each.sequence)) for each in wanted]
        there = await self._are_there([each for each in found if each is not None])
        is_there = iter(there)
        return [each if each is not None and next(is_there) else None for each in found]

    async def _find_left(self, wanted: Wanted, chunk: Chunk | None) -> Place | None:
        try:
            return None if chunk is None else await self._find(wanted, chunk)
        except Removed:
            return None

    async def _find(self, wanted: Wanted, chunk: Chunk) -> Place:
        located = chunk.locate(wanted.sequence)
        topic, offset = located.topic, located.offset
        if topic is None:
            topic, offset = await self._count(chunk, located.before)
        is_plain = topic not in (FORWARDED, TICKS) and wanted.topic in (None, topic)
        if (wanted.check is None and topic != FORWARDED) or (wanted.is_sure and is_plain):
            return Place(topic, self._partition, offset, chunk, None)
        if topic != TICKS:
            source = await self._source(topic, offset)
            if wanted.check is None or _is(source, wanted.check):
                return _placed(source, chunk)
        here = Place(topic, self._partition, offset, chunk, None)
        return await self._find_waiting(wanted, chunk, here)

    async def _source(self, topic: str, offset: int) -> Input:
        place = self._reader.place(topic, self._partition)
        return self._lay_first(topic, await self._reader.at(place, offset))

    def _lay_first(self, topic: str, record: Any) -> Input:
        source = as_it_came(topic, self._partition, record)
        try:
            return as_it_lay_first(source) if topic == FORWARDED else source
        except Refused:
            return source

    async def _count(self, chunk: Chunk, before: int) -> tuple[str, int]:
        """Return where an input lies that so many of its chunk come before: offsets have gaps."""
        for each in chunk.inputs:
            place, offset = self._reader.place(each.topic, self._partition), each.first
            while offset <= each.last:
                records, offset = await self._reader.fetch(place, offset, SPAN_BYTES)
                for record in records:
                    if record.offset > each.last:
                        break
                    if before == 0:
                        return each.topic, record.offset
                    before -= 1
        raise Removed(f"the chunk from {chunk.sequence} has fewer inputs than it says")

    async def _find_waiting(self, wanted: Wanted, chunk: Chunk, here: Place) -> Place:
        """Return where an input lies that had waited for its member, and was folded with another.

        Its timestamp is known, so the search begins where its topic has come to that time. What
        may have come on any topic may have waited as well, or else what came there is it.
        """
        if wanted.check is not None and wanted.recorded_at is not None:
            topics = _MAY_WAIT if wanted.topic is None else (wanted.topic, FORWARDED)
            for topic in topics:
                source = await self._scan(topic, millis_of(wanted.recorded_at), wanted.check)
                if source is not None:
                    return _placed(source, chunk)
        if wanted.topic is None:
            return here
        raise Removed(f"what waited until {wanted.sequence} is not there")

    async def _scan(self, topic: str, millis: int, check: Check) -> Input | None:
        place = self._reader.place(topic, self._partition)
        offset = await self._reader.since(place, millis)
        if offset is None:
            return None
        for _ in range(MOST_SPANNED):
            records, following = await self._reader.fetch(place, offset, SPAN_BYTES)
            if following == offset:
                return None
            for record in records:
                if topic != FORWARDED and record.timestamp != millis:
                    continue
                source = self._lay_first(topic, record)
                if source.timestamp == millis and _is(source, check):
                    return source
            offset = following
        return None

    async def _are_there(self, found: Sequence[Place]) -> list[bool]:
        """Tell of what was found whether the topics still have it."""
        places = [self._reader.place(each.topic, each.partition) for each in found]
        begins: Mapping[TopicPartition, int] = {}
        if places:
            begins = await self._reader.begins(set(places))
        return [each.offset >= begins[at] for at, each in zip(places, found, strict=True)]


def _placed(source: Input, chunk: Chunk) -> Place:
    return Place(source.topic, source.partition, source.offset, chunk, source.timestamp)


def _is(source: Input, check: Check) -> bool:
    try:
        return check(read(source))
    except Refused:
        return False


def is_log(log_id: str) -> Check:
    """Return the check of a challenge log that was sent as such."""

    def check(item: Read) -> bool:
        record = item.record
        return isinstance(record, ChallengeLog) and log_id == ids.challenge_log_id(
            item.project, record.challenge_id.lower(), item.member_id, record.unique_identifier
        )

    return check


def is_event(log_id: str) -> Check:
    """Return the check of an event."""

    def check(item: Read) -> bool:
        record, source = item.record, item.input
        if not isinstance(record, Event):
            return False
        if record.idempotency_key is not None:
            named = ids.event_log_id(item.project, item.member_id, record.idempotency_key)
        else:
            place = source.topic, source.partition, source.offset
            named = ids.placed_event_log_id(item.project, *place)
        return named == log_id

    return check


def is_void(void_id: str) -> Check:
    """Return the check of a void."""

    def check(item: Read) -> bool:
        record = item.record
        return isinstance(record, Void) and void_id == ids.void_id(
            item.project, item.member_id, record.unique_identifier
        )

    return check


def is_correction(correction_id: str) -> Check:
    """Return the check of a correction of a progress."""

    def check(item: Read) -> bool:
        record = item.record
        return isinstance(record, CorrectProgress) and correction_id == ids.correction_id(
            item.project, item.member_id, record.unique_identifier
        )

    return check


_MOVING: Mapping[str, type[RedeemPoints | SpendPoints | CaptureHold | AdjustPoints]] = {
    "redeem": RedeemPoints,
    "spend": SpendPoints,
    "capture": CaptureHold,
    "adjust": AdjustPoints,
}


def is_command(operation: str, source_id: str) -> Check:
    """Return the check of a command that moved points."""

    def check(item: Read) -> bool:
        record = item.record
        return isinstance(record, _MOVING[operation]) and source_id == ids.command_source(
            item.member_id, record.unique_identifier
        )

    return check


def is_assignment(tier_set_id: str) -> Check:
    """Return the check of a command that assigned a tier of a set, or ended that."""

    def check(item: Read) -> bool:
        return isinstance(item.record, AssignTier) and item.record.tier_set_id == tier_set_id

    return check


def is_activity(pathway_id: str, activity_id: str) -> Check:
    """Return the check of what may complete an activity of a pathway: a log, or a review."""

    def check(item: Read) -> bool:
        record = item.record
        return (
            isinstance(record, ActivityLog | ReviewActivity)
            and record.pathway_id == pathway_id
            and record.activity_id == activity_id
        )

    return check


def is_enrolment(pathway_id: str) -> Check:
    """Return the check of a command that enrolled a member in a pathway."""

    def check(item: Read) -> bool:
        return isinstance(item.record, Enrol) and item.record.pathway_id == pathway_id

    return check


def any_of(*checks: Check) -> Check:
    """Return the check of what one of these takes."""
    return lambda item: any(check(item) for check in checks)

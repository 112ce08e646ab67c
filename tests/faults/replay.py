"""One partition folded once more by the plain reference, in the order that the chunk log tells.

The reference (`tests.properties.reference`) knows no partitions; here are forwarding, dead
letters, replies and pathways around it. It shares no code with the fold.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiokafka.partitioner import murmur2

from tests.faults.load import PATHWAY_TARGET, READ, SUMMED
from tests.properties.log_reference import Answer, Refusal, member_id
from tests.properties.reference import Reference

ORIGIN = "milestream-origin"

Place = tuple[str, int, int]
"""Topic without prefix, partition, offset."""


def moment(millis: int) -> datetime:
    """Return a record's time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


@dataclass(eq=False)
class Parked:
    """A record, by where it lay first; where it waits, until when a tick lets it."""

    place: Place
    value: bytes | None
    arrived: int
    until: datetime | None = None


def owner_of(value: bytes | None) -> str | None:
    """Return the id of the member that a record names, None where it names none."""
    try:
        record = json.loads(value or b"")
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    owner = record.get("ownedById") or record.get("memberId")
    if owner is not None:
        return str(owner)
    inline = record.get("ownedBy") or record
    return member_id(inline.get("externalId") or record["userId"])


def partition_of(member: str, partitions: int) -> int:
    """Return the partition of a member, as Kafka's own partitioner has it."""
    return int((murmur2(member.encode()) & 0x7FFFFFFF) % partitions)


class PartitionReference(Reference):
    """All that the rules know of the members of one partition."""

    def __init__(self, partition: int, partitions: int) -> None:
        super().__init__()
        self._partition, self._partitions = partition, partitions
        self.refused: Counter[tuple[str, Place]] = Counter()
        self.forwards: Counter[tuple[int, Place]] = Counter()
        self.replies: list[tuple[bytes, Answer]] = []
        """Correlation id and answer."""
        self.activities: set[tuple[str, str, str]] = set()
        self.steps: dict[str, Decimal] = {}
        self.done: Counter[tuple[str, str]] = Counter()
        self.enrolled: set[str] = set()
        self.parked: dict[str, list[Parked]] = {}
        """What waits for a member that was never known, in order."""

    def fold(self, topic: str, record: Any) -> None:
        """Fold one record of an input topic (its name without prefix)."""
        if topic == "ticks":
            self.tick(moment(record.timestamp))
            return
        place: Place = (topic, self._partition, record.offset)
        headers, arrived = list(record.headers), record.timestamp
        if topic == "forwarded":
            origin = json.loads(dict(headers)[ORIGIN] or b"")
            place = (origin["topic"], origin["partition"], origin["offset"])
            arrived = origin["timestamp"]
        owner = owner_of(record.value)
        home = None if owner is None else partition_of(owner, self._partitions)
        if home not in (None, self._partition):
            assert topic != "forwarded", f"{place} was forwarded to {self._partition}, not {home}"
            self.forwards[home, place] += 1
            self.taken += 1
            return
        asked = dict(headers)
        self.asked = "kafka_replyTopic" in asked
        known = set(self.members)
        answer = self._take(Parked(place, record.value, arrived), self.asked)
        if self.asked:
            self.replies.append((asked["kafka_correlationId"], answer))
        self.asked = False  # who waited for its member did not ask
        for member in self.members.keys() - known:
            for waiting in self.parked.pop(member, []):
                self.taken -= 1  # it is folded in the place of what made its member known
                self._take(waiting, True)

    def _take(self, record: Parked, at_once: bool) -> Answer:
        """Fold a record; where nobody waits for its answer, let it wait for an unknown member."""
        before = Counter(self.refusals)
        answer = self.take(record.place[0], record.value, record.arrived)
        for reason in self.refusals - before:
            member = owner_of(record.value)
            if reason == "unknown_member" and not at_once and member not in self.members:
                assert member is not None
                self.parked.setdefault(member, []).append(record)
            else:
                self.refused[reason, record.place] += 1
        return answer

    def tick(self, now: datetime) -> None:
        """Let happen what was due, and give up what has waited since a tick a minute ago."""
        super().tick(now)
        for member, waiting in list(self.parked.items()):
            for record in list(waiting):
                if record.until is None:
                    record.until = now + timedelta(seconds=60)
                elif record.until <= now:
                    waiting.remove(record)
                    self.refused["unknown_member", record.place] += 1
            if not waiting:
                del self.parked[member]

    def _command(self, command: dict[str, Any]) -> Answer:
        if command["type"] != "enrol":
            return super()._command(command)
        member = member_id(command["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        self.enrolled.add(member)
        return 200, None

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if topic != "activity-logs":
            return super()._dispatch(topic, record, arrived)
        member = member_id(record["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        identity = (member, record["activityId"], record["uniqueIdentifier"])
        if identity in self.activities:
            self.duplicates += 1
            return 409, None
        self.activities.add(identity)
        self._step(member, record)  # a paused member's activities count as well
        return 201, None

    def _step(self, member: str, record: dict[str, Any]) -> None:
        if record["activityId"] == READ:
            self.done[member, READ] = 1
            return
        total = self.steps.get(member, Decimal(0)) + record["fulfilment"]["value"]
        self.steps[member] = total
        if total >= PATHWAY_TARGET:
            self.done[member, SUMMED] = 1


def replay(
    partition: int,
    partitions: int,
    chunks: Sequence[Any],
    inputs: dict[str, list[Any]],
    definitions: Sequence[Any],
) -> PartitionReference:
    """Fold a partition's inputs in the order of its chunks.

    Raises:
        AssertionError: the chunks leave a record out, or have one twice.
    """
    reference = PartitionReference(partition, partitions)
    next_record = dict.fromkeys(inputs, 0)
    next_definition = sequence = 0
    for record in chunks:
        chunk = json.loads(record.value)
        assert not chunk.get("poisoned"), f"poison: {chunk}"
        assert chunk["sequence"] == sequence == reference.taken, (chunk, sequence, reference.taken)
        while next_definition < len(definitions) and (
            definitions[next_definition].offset < chunk["definitions"]
        ):
            defined = definitions[next_definition]
            reference.define(defined.key, defined.value)
            next_definition += 1
        for span in chunk["inputs"]:
            topic, first = span["topic"], next_record[span["topic"]]
            records = inputs[topic]
            assert records[first].offset == span["first"], (
                f"{topic} {partition}: {records[first].offset} comes next, {span} was folded"
            )
            last = first
            while records[last].offset < span["last"]:
                last += 1
            assert records[last].offset == span["last"], (topic, partition, span)
            for each in records[first : last + 1]:
                reference.fold(topic, each)
            next_record[topic] = last + 1
        sequence += chunk["count"]
        assert reference.taken == sequence, (chunk, reference.taken)
    for topic, records in inputs.items():
        left = records[next_record[topic] :]
        assert topic == "ticks" or not left, (
            f"{topic}, partition {partition}: {len(left)} of {len(records)} records were never "
            f"folded, the first at {left[0].offset}"
        )
    return reference

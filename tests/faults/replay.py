"""One partition folded once more by the plain reference, in the order that the chunk log tells.

The reference (`tests.properties.event_reference`) knows no partitions; here are forwarding, dead
letters, replies and pathways around it. It shares no code with the fold.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiokafka.partitioner import murmur2

from tests.faults.load import PATHWAY_TARGET, READ, SUMMED
from tests.properties.event_reference import EventReference
from tests.properties.reference import Answer, Refusal, member_id

ORIGIN = "milestream-origin"

Place = tuple[str, int, int]
"""Topic without prefix, partition, offset."""


def moment(millis: int) -> datetime:
    """Return a record's time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


class PartitionReference(EventReference):
    """All that the rules know of the members of one partition."""

    def __init__(self, partition: int, partitions: int) -> None:
        super().__init__()
        self._partition, self._partitions = partition, partitions
        self.refused: Counter[tuple[str, Place]] = Counter()
        self.forwards: Counter[tuple[int, Place]] = Counter()
        self.replies: list[tuple[bytes, Answer, bool]] = []
        """Correlation id, answer, and whether it answers a log."""
        self.activities: set[tuple[str, str, str]] = set()
        self.steps: dict[str, Decimal] = {}
        self.done: Counter[tuple[str, str]] = Counter()
        self.enrolled: set[str] = set()

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
        home = self._home(record.value)
        if home not in (None, self._partition):
            assert topic != "forwarded", f"{place} was forwarded to {self._partition}, not {home}"
            self.forwards[home, place] += 1
            self.taken += 1
            return
        before = Counter(self.refusals)
        answer = self.take(place[0], record.value, arrived)
        for reason in self.refusals - before:
            self.refused[reason, place] += 1
        asked = dict(headers)
        if "kafka_replyTopic" in asked:
            is_log = place[0] == "challenge-logs"
            self.replies.append((asked["kafka_correlationId"], answer, is_log))

    def _home(self, value: bytes | None) -> int | None:
        """Return the partition of the record's member; None where it names none."""
        try:
            record = json.loads(value or b"")
        except ValueError:
            return None
        if not isinstance(record, dict):
            return None
        owner = record.get("ownedById") or record.get("memberId")
        if owner is None:
            inline = record.get("ownedBy") or record
            owner = member_id(inline.get("externalId") or record["userId"])
        return int((murmur2(owner.encode()) & 0x7FFFFFFF) % self._partitions)

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

"""The catalogue of Kafka topics (``schemas/README.md#topics``), the one place that names them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

MIB = 1024 * 1024
MAX_RECORD_BYTES = MIB
"""A record's key, value and headers together; a larger one is a dead letter, ``too_large``."""


class Partitioning(Enum):
    """How many partitions a topic has, and what chooses one."""

    MEMBER = "member"
    """As many as ``MILESTREAM_PARTITIONS``; the place of a record is murmur2(member id)."""
    SINGLE = "single"
    """One partition: a total order."""


@dataclass(frozen=True)
class Topic:
    """One topic: how it is partitioned, and what its records live by."""

    name: str
    purpose: str
    partitioning: Partitioning = Partitioning.MEMBER
    config: Mapping[str, str] = field(default_factory=dict)

    def partition_count(self, partitions: int) -> int:
        """Return how many partitions it has, where member-keyed topics have ``partitions``."""
        return 1 if self.partitioning is Partitioning.SINGLE else partitions


_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# Inputs accept twice what the processor does, so that a record that is too large can arrive and
# become a dead letter; base64 makes 2 MiB into 2.7, and dead-letters takes 4.
_INPUT = {**_FOR_EVER, "max.message.bytes": str(2 * MIB)}
MAX_VALUE_BYTES = 4 * MIB - 64 * 1024
"""What we write into a topic has at most so many bytes of value: the rest of 4 MiB is for its key
and its headers."""

# The broker's limit is for a batch: its head comes on top of a record of 4 MiB.
_INTERNAL = {**_FOR_EVER, "max.message.bytes": str(4 * MIB + 64 * 1024)}
# By the broker's time, in order: what was so at some moment is what had been written by then.
_OUTPUT = {**_INTERNAL, "message.timestamp.type": "LogAppendTime"}

# What was erased is gone from a compacted topic a week later at most, even from the file that is
# being written.
_COMPACTED_IN_TIME = {"max.compaction.lag.ms": str(7 * 24 * 3600 * 1000)}

# The last value of a member counts: what it was called before is nobody's business, and of one that
# is forgotten nothing is left but that. Such a record without value stays for a hundred years: a
# table that is rebuilt later, and who verifies, must find it.
_MEMBERS = {
    **_OUTPUT,
    "cleanup.policy": "compact",
    "delete.retention.ms": str(100 * 365 * 24 * 3600 * 1000),
    "segment.bytes": str(64 * MIB),
    **_COMPACTED_IN_TIME,
}

# Nobody waits longer than some seconds for an answer; the broker deletes whole segments only.
_SHORT_LIVED = {"retention.ms": str(3600 * 1000), "segment.ms": str(600 * 1000)}

CHALLENGE_LOGS = "challenge-logs"
EVENTS = "events"
ACTIVITY_LOGS = "activity-logs"
MEMBER_COMMANDS = "member-commands"
TICKS = "ticks"
FORWARDED = "forwarded"
CHUNK_LOG = "chunk-log"
DRY_RUNS = "dry-runs"
DEFINITIONS = "definitions"
PROGRESS_EVENTS = "progress-events"
MILESTONE_EVENTS = "milestone-events"
REWARD_EVENTS = "reward-events"
POINTS_EVENTS = "points-events"
EVENT_RESULTS = "event-results"
STREAK_EVENTS = "streak-events"
PATHWAY_EVENTS = "pathway-events"
MEMBER_EVENTS = "member-events"
TIER_EVENTS = "tier-events"
CLOCK_EVENTS = "clock-events"
DEAD_LETTERS = "dead-letters"
REPLIES = "replies"
MEMBER_KEYS = "member-keys"

# Who is forgotten is so once the cleaner has been there. It leaves a segment alone that is written
# to; a worker or process that reads the topic finds a removal there for a day.
_KEYS = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MIB),
    "segment.ms": str(3600 * 1000),
    "max.compaction.lag.ms": str(3600 * 1000),
    "delete.retention.ms": str(24 * 3600 * 1000),
}

TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(CHALLENGE_LOGS, "input: challenge logs", config=_INPUT),
        Topic(EVENTS, "input: events", config=_INPUT),
        Topic(ACTIVITY_LOGS, "input: pathway activities", config=_INPUT),
        Topic(MEMBER_COMMANDS, "input: what is to happen to members", config=_INPUT),
        Topic(
            TICKS,
            "input, internal: broker time, at least one record per partition and minute",
            config=_OUTPUT,
        ),
        Topic(FORWARDED, "internal: records that lay on the wrong partition", config=_INTERNAL),
        Topic(
            CHUNK_LOG, "internal: one record per chunk: what was folded, in order", config=_INTERNAL
        ),
        Topic(
            DRY_RUNS,
            "internal: records that are folded for their answer alone",
            config={**_INPUT, **_SHORT_LIVED, "message.timestamp.type": "LogAppendTime"},
        ),
        Topic(
            MEMBER_KEYS,
            "internal: the keys that members' fields are sealed under, each under the master key",
            config=_KEYS,
        ),
        Topic(DEFINITIONS, "input: the rules in force", Partitioning.SINGLE, _INPUT),
        Topic(PROGRESS_EVENTS, "output: challenge logs and progress", config=_OUTPUT),
        Topic(MILESTONE_EVENTS, "output: milestones reached", config=_OUTPUT),
        Topic(REWARD_EVENTS, "output: rewards granted and updated", config=_OUTPUT),
        Topic(POINTS_EVENTS, "output: points granted and redeemed", config=_OUTPUT),
        Topic(EVENT_RESULTS, "output: what became of each event", config=_OUTPUT),
        Topic(STREAK_EVENTS, "output: streaks", config=_OUTPUT),
        Topic(PATHWAY_EVENTS, "output: pathways", config=_OUTPUT),
        Topic(MEMBER_EVENTS, "output: members, with their personal fields", config=_MEMBERS),
        Topic(TIER_EVENTS, "output: tiers", config=_OUTPUT),
        Topic(CLOCK_EVENTS, "output: test clocks, as each partition moved them", config=_OUTPUT),
        Topic(DEAD_LETTERS, "output: what was refused, and why", config=_OUTPUT),
        Topic(REPLIES, "output: answers to requests", config={**_OUTPUT, **_SHORT_LIVED}),
    )
}
"""Every topic of the public interface by its name without prefix."""

INPUT_TOPICS = (MEMBER_COMMANDS, FORWARDED, CHALLENGE_LOGS, EVENTS, ACTIVITY_LOGS, TICKS)
"""What the processor folds, in the order in which one fetch of a partition is folded: what may
make a member known goes first, time last."""

FETCHED_TOPICS = (*INPUT_TOPICS, DRY_RUNS)
"""What a worker reads of the partitions that it has."""

OUTPUT_TOPICS = (
    PROGRESS_EVENTS,
    MILESTONE_EVENTS,
    REWARD_EVENTS,
    POINTS_EVENTS,
    EVENT_RESULTS,
    STREAK_EVENTS,
    PATHWAY_EVENTS,
    MEMBER_EVENTS,
    TIER_EVENTS,
    CLOCK_EVENTS,
    DEAD_LETTERS,
)
"""What the processor writes on the partition that it folds: a function of its inputs."""


def changelog_topic(application_id: str) -> Topic:
    """Return the topic that a worker's state is recovered from (last value of a key counts)."""
    return Topic(
        f"{application_id}-state-changelog",
        "internal: the changelog of the members' state",
        config={
            "cleanup.policy": "compact",
            "max.message.bytes": str(4 * MIB),
            # A worker relies on finding a deletion there for half a day (``processor.restoring``).
            "delete.retention.ms": str(24 * 3600 * 1000),
            # Small segments let the cleaner keep up; recovery time follows what it leaves behind.
            "segment.bytes": str(64 * MIB),
            **_COMPACTED_IN_TIME,
        },
    )


def positions_topic(application_id: str) -> Topic:
    """Return the topic of how far imports and redrives have got (last value of a key counts)."""
    return Topic(
        f"{application_id}-positions",
        "internal: how far imports and redrives have got",
        Partitioning.SINGLE,
        {"cleanup.policy": "compact", "max.message.bytes": str(MIB)},
    )


def topics_fault(wanted: Mapping[str, int], found: Mapping[str, int]) -> str | None:
    """Return what is wrong with the topics of a broker and what to do; None where all are right.

    Args:
        wanted: by full name, how many partitions each topic must have.
        found: the same of those that exist.
    """
    missing = sorted(wanted.keys() - found.keys())
    if missing:
        return (
            f"topics are missing: {', '.join(missing)}; make them with `milestream topics create`"
        )
    wrong = [
        f"{name} has {found[name]} partitions, not {count}"
        for name, count in wanted.items()
        if found[name] != count
    ]
    if not wrong:
        return None
    return (
        f"{'; '.join(wrong)}. The partition count cannot change once topics exist: set "
        "MILESTREAM_PARTITIONS as it was, or use another MILESTREAM_TOPIC_PREFIX"
    )


def partition_for(member: str, partitions: int) -> int:
    """Return the partition of a member id, as Kafka's own default partitioner chooses it."""
    return (_murmur2(member.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 of ``data`` (org.apache.kafka.common.utils.Utils), unsigned.

    aiokafka has the same function, but schemas import no Kafka client.
    """
    length = len(data)
    m = 0x5BD1E995
    h = 0x9747B28C ^ length
    for i in range(0, length - length % 4, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ (k >> 24)) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    tail = data[length - length % 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * m & 0xFFFFFFFF
    return h ^ (h >> 15)

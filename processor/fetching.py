"""What a fetch of the group's consumer brought, with the proof that nothing was left out of it.

aiokafka hands out records without saying which seek they follow, and by number where bytes matter.
All of this runs in the consumer's thread, between two awaits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult

Records = Mapping[TopicPartition, Sequence[Any]]
Offsets = Mapping[TopicPartition, int]

MAX_RECORDS = 8_000
"""Records a fetch hands out at most, and so the largest chunk: larger ones are no faster."""
MAX_BYTES = 16 * 1024 * 1024
"""Of records that a fetch hands out, and one record more."""
MAX_PARTITION_BYTES = 4 * 1024 * 1024
"""Of one partition of one topic: what may have to be held is so much a partition."""
RECORD_BYTES = 300
"""What a record takes in memory besides its key, value and headers."""

NO_EPOCH = 0
"""The epoch of what follows no seek: never the present one."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Records that were handed out together, by partition; an entry in each mapping."""

    epoch: int = NO_EPOCH
    """The seek that they follow."""
    records: Records = field(default_factory=dict)
    starts: Offsets = field(default_factory=dict)
    """The offset from which on nothing was left out before them: that after the last record that
    was handed out, or the one that was sought."""
    positions: Offsets = field(default_factory=dict)
    """Up to where every input was handed out; this passes aborted records and markers."""
    bytes: Mapping[TopicPartition, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many records it brought."""
        return sum(map(len, self.records.values()))


class HandedOut:
    """Up to where each partition was handed out since it was sought."""

    def __init__(self, unsought: str | None = None) -> None:
        """``unsought`` is a topic that is read from where the group's offsets are: it may leave
        records out."""
        self._unsought = unsought
        self.epoch = NO_EPOCH
        """That of the last seek."""
        self._assignment: object = None
        self._next: dict[TopicPartition, int] = {}

    def sought(self, assignment: object, targets: Offsets, epoch: int) -> None:
        """Begin an epoch: these partitions of an assignment are read from these offsets on."""
        self._assignment = assignment
        self.epoch = epoch
        self._next = dict(targets)

    def wanted(self, place: TopicPartition) -> int | None:
        """Return the offset of the record that is to be handed out next; None where none was
        sought."""
        return self._next.get(place)

    def forget(self) -> None:
        """Take nothing that is handed out from now on for complete, until the next seek."""
        self._assignment = None

    def take(
        self,
        assignment: object,
        records: Mapping[TopicPartition, Sequence[Any]],
        positions: Offsets,
        weights: Mapping[TopicPartition, int],
    ) -> Fetch:
        """Say where records begin that were just handed out under an assignment.

        Where it was not sought they come from wherever the group's offsets were, and are of no
        epoch: whoever got the assignment seeks before it folds.
        """
        if assignment is not self._assignment or assignment is None:
            return Fetch(records=records)
        known, starts = dict[TopicPartition, Sequence[Any]](), dict[TopicPartition, int]()
        for tp, batch in records.items():
            if tp in self._next:
                starts[tp] = self._next[tp]
                self._next[tp] = batch[-1].offset + 1
            elif tp.topic == self._unsought:
                starts[tp] = batch[0].offset
            else:
                continue
            known[tp] = batch
        return Fetch(self.epoch, known, starts, positions, weights)


def weigh(record: Any) -> int:
    """Return about how many bytes a record takes."""
    value, key = record.value, record.key
    weight = RECORD_BYTES + (len(value) if value else 0) + (len(key) if key else 0)
    if record.headers:
        weight += sum(len(name) + len(content or b"") for name, content in record.headers)
    return weight


def drain(
    fetcher: Any,
    wanted: Collection[TopicPartition],
    first: Records,
) -> tuple[dict[TopicPartition, list[Any]], dict[TopicPartition, int]]:
    """Hand out what was fetched after ``first``, as far as the bounds allow; return all of it, and
    the bytes of each partition.

    This is aiokafka's own way to hand out (``Fetcher.fetched_records``, ``FetchResult.getall``),
    which counts records only: 8,000 of them may be 8 GB. An error of a partition stays for its
    next call to raise.
    """
    drained = {tp: list(records) for tp, records in first.items()}
    weights = {tp: sum(map(weigh, records)) for tp, records in drained.items()}
    left_records = MAX_RECORDS - sum(map(len, drained.values()))
    left_bytes = MAX_BYTES - sum(weights.values())
    for tp in list(fetcher._records):
        result = fetcher._records[tp]
        if tp not in wanted or type(result) is not FetchResult:
            continue
        if left_records <= 0 or left_bytes <= 0:
            break
        bound = min(left_bytes, MAX_PARTITION_BYTES - weights.get(tp, 0))
        records, weight = _take(result, tp, left_records, bound)
        if not result.has_more():
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
        if records:
            drained.setdefault(tp, []).extend(records)
            weights[tp] = weights.get(tp, 0) + weight
            left_records -= len(records)
            left_bytes -= weight
    return drained, weights


def _take(
    result: Any, tp: TopicPartition, max_records: int, max_bytes: int
) -> tuple[list[Any], int]:
    """Take records of one partition until a bound is reached."""
    records: list[Any] = []
    weight = 0
    if max_bytes <= 0 or not result.check_assignment(tp) or not result.has_more():
        return records, weight
    for record in result._partition_records:
        records.append(record)
        weight += weigh(record)
        if len(records) >= max_records or weight >= max_bytes:
            result._update_position()
            return records, weight
    result._update_position()
    result._partition_records = None
    return records, weight


def positions(assignment: Any) -> Offsets:
    """Return the position of every partition of an assignment that has one."""
    states = ((tp, assignment.state_value(tp)) for tp in assignment.tps)
    return {tp: state.position for tp, state in states if state.has_valid_position}

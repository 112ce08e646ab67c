"""Where outputs ended at an earlier moment: what was so then is what rows before those ends say.

Output topics have the broker's time (`LogAppendTime`), so the broker tells by its own index where
the first later record of a partition lies. What stands before it is what had been written by then.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from api.http.problems import Problem
from api.kafka.barrier import Barrier
from api.kafka.processor_client import BEHIND, TIMEOUT_SECONDS, unavailable
from schemas.instants import EPOCH, millis_of
from schemas.kafka.end_offsets import EndOffsets
from schemas.places import place
from schemas.topics import partition_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Past:
    """A moment, and where outputs ended then: by topic, for each partition the place of the first
    record that was written later."""

    moment: datetime
    ends: Mapping[str, Sequence[int]]

    def end(self, topic: str, member_id: str) -> int:
        """Return the end of the partition of a topic that a member's outputs lie on."""
        ends = self.ends[topic]
        return ends[partition_for(member_id, len(ends))]


async def at(barrier: Barrier, moment: datetime, models: Collection[str]) -> Past:
    """Return where the outputs that read models are made from ended at a moment, once these hold
    all of them.

    Raises:
        Problem: 503, the tables are behind that moment, or the broker does not answer. Nothing
            would tell such an answer from a true one.
    """
    of_topics = barrier.partitions(models)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            ends = await _ends(barrier.log_ends, list(of_topics), moment)
    except (KafkaError, TimeoutError) as error:
        logger.warning("cannot ask what was written by %s: %r", moment, error)
        raise unavailable() from error
    if not await barrier.wait_for(
        {key: ends[partition] for partition, keys in of_topics.items() for key in keys}
    ):
        raise unavailable(BEHIND)
    found: dict[str, list[int]] = {}
    for partition, keys in sorted(of_topics.items()):
        _, topic, number = keys[0]
        found.setdefault(topic, []).append(place(number, ends[partition]))
    return Past(moment, found)


async def _ends(
    log_ends: EndOffsets, partitions: Collection[TopicPartition], moment: datetime
) -> Mapping[TopicPartition, int]:
    if moment < EPOCH:  # nothing had been written, and the broker is asked for no such time
        return dict.fromkeys(partitions, 0)
    # First the ends: where nothing is later, all that was there when this was asked is earlier.
    ends = await log_ends.of(partitions)
    later = await log_ends.at(partitions, millis_of(moment) + 1)
    return {each: ends[each] if (first := later[each]) is None else first for each in partitions}


def rebuild_first(*tables: str) -> Problem:
    """Return the 503 of tables whose rows do not tell when they were written."""
    names = " ".join(tables)
    detail = (
        f"Rows of before the last upgrade do not tell when they were written: `milestream rebuild "
        f"{names}` adds it, once."
    )
    return Problem(503, detail, code="rebuild_needed")

"""What was taken off a topic before it was read, by retention or by somebody who deletes records.

Nothing can bring such records back, so who reads goes on behind them; but they are missed for ever
in whatever is made of the topic. aiokafka goes on without a word. This is the one module that looks
at how it does; ``tests/unit/test_aiokafka_contract.py`` fails when aiokafka changes that.
"""

import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

logger = logging.getLogger(__name__)


class Removals:
    """Says, once each, which records were removed before they were read.

    ``count`` takes a topic and how many offsets it was.
    """

    def __init__(self, count: Callable[[str, int], object]) -> None:
        self._count = count
        self._told: dict[TopicPartition, int] = {}

    def look(self, place: TopicPartition, wanted: int, begin: int) -> int:
        """Compare the offset that is to be read next with the one where the log begins.

        Returns how many offsets between were not told of before.
        """
        since = max(wanted, self._told.get(place, 0))
        removed = max(begin - since, 0)
        if removed:
            self._told[place] = begin
            self._count(place.topic, removed)
            logger.error(
                "%s, partition %d: the records from offset %d to %d were removed from the topic "
                "before they were read, and are LOST (but for markers of transactions): reading "
                "goes on at %d; see that the topic keeps its records (retention.ms=-1)",
                place.topic, place.partition, since, begin - 1, begin,
            )  # fmt: skip
        return removed


def watch(consumer: AIOKafkaConsumer, moved: Callable[[TopicPartition, int], object]) -> None:
    """Tell ``moved`` whenever a consumer, which was started, is moved to where a log begins because
    the log does not have the offset any more that it was to read; in the consumer's event loop."""
    fetcher: Any = consumer._fetcher
    update = fetcher._update_fetch_positions

    async def watched(assignment: Any, node_id: Any, partitions: Any) -> bool:
        # One that has no position because none was ever committed awaits no reset yet.
        resetting = [tp for tp in partitions if assignment.state_value(tp).awaiting_reset]
        needs_wakeup: bool = await update(assignment, node_id, partitions)
        for tp in resetting:
            state = assignment.state_value(tp)
            if state.has_valid_position:
                moved(tp, state.position)
        return needs_wakeup

    fetcher._update_fetch_positions = watched

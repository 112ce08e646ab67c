"""The parts of a worker that Faust's subclasses and the agent share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from processor.definitions import DefinitionsReader
from processor.offsets import EndOffsets
from processor.store import StateStore
from processor.ticker import Ticker
from processor.transactions import Producers
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, INPUT_TOPICS


class Outstanding:
    """How many records were delivered and are not folded yet."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Event()
        self.emptied = 0
        """How often everything that was delivered was given up."""

    def add(self, records: int) -> None:
        """Count records that were handed to the agent."""
        self._count += records

    def done(self, records: int) -> None:
        """Count records that were folded or dropped."""
        self._count = max(0, self._count - records)
        self._changed.set()

    def clear(self) -> None:
        """Give up what is delivered and not begun: it is delivered again."""
        self._count = 0
        self.emptied += 1
        self._changed.set()

    async def below(self, bound: int, seconds: float) -> bool:
        """Wait for at most ``seconds`` until there are fewer than ``bound``; tell whether."""
        if self._count < bound:
            return True
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                while self._count >= bound:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            return False
        return True


@dataclass
class Shell:
    """What one worker process has: each part once."""

    settings: Settings
    store: StateStore
    producers: Producers
    ends: EndOffsets
    log_ends: EndOffsets
    """Asks where logs end, what transactions have open included."""
    ticker: Ticker
    definitions: DefinitionsReader
    reply_partitions: Mapping[str, int]
    cluster_id: str
    outstanding: Outstanding = field(default_factory=Outstanding)
    fatal: asyncio.Future[BaseException] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Set by whoever finds that the worker cannot go on safely."""

    @property
    def group(self) -> str:
        """The consumer group of the workers, which is also Faust's id of the application."""
        return self.settings.topic(self.settings.application_id)

    @property
    def origin(self) -> str:
        """What a state store belongs to: an application in a Kafka cluster."""
        return f"{self.cluster_id}/{self.group}"

    @property
    def definitions_partition(self) -> TopicPartition:
        """Where the definitions are."""
        return TopicPartition(self.settings.topic(DEFINITIONS), 0)

    def input_positions(self) -> Mapping[TopicPartition, int]:
        """Return where each input of the partitions that are open goes on, by the state store."""
        positions: dict[TopicPartition, int] = {}
        for partition, store in self.store.items():
            offsets = store.position().offsets
            for name in INPUT_TOPICS:
                place = TopicPartition(self.settings.topic(name), partition)
                positions[place] = offsets.get(name, 0)
        return positions

    def fail(self, error: BaseException) -> None:
        """Stop the worker: it cannot go on safely, and recovery is cheap."""
        if not self.fatal.done():
            self.fatal.set_result(error)

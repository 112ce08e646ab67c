"""The parts of a worker that Faust's subclasses and the agent share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from processor import metrics
from processor.chunking import Chunk
from processor.definitions import DefinitionsReader
from processor.destinations import Destinations
from processor.erasing import Erasing
from processor.fetching import NO_EPOCH
from processor.store import StateStore
from processor.ticker import Ticker
from processor.transactions import Producers
from schemas.kafka.descriptions import Describer
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.member_keys import MemberKeysReader
from schemas.kafka.removal import Removals
from schemas.settings import Settings
from schemas.topics import DEFINITIONS, INPUT_TOPICS
from schemas.tracing import Tracing

MAX_OUTSTANDING = 4_000
"""No fetch while so many records wait for the fold or are on their way: chunks grow by themselves
under load, and the oldest record of a chunk does not wait behind many small ones."""
MAX_OUTSTANDING_BYTES = 32 * 1024 * 1024
"""No fetch either while they take so much memory. The last fetch may go beyond."""


class Outstanding:
    """What was delivered to the agent and is not folded yet, since the partitions were sought.

    Every revocation and every seek begins an epoch. A record belongs to the seek that it was
    fetched after: in another epoch it is given up, for it is fetched again then.
    """

    def __init__(self) -> None:
        self.epoch = NO_EPOCH + 1
        self._records = 0
        self._bytes = 0
        self._on_the_way = 0
        self._steps = 0
        self._changed = asyncio.Event()

    def is_current(self, chunk: Chunk) -> bool:
        """Tell whether a chunk may still be folded."""
        return chunk.epoch == self.epoch

    def add(self, chunk: Chunk) -> None:
        """Count a chunk that is handed to Faust."""
        self._records += chunk.size
        self._bytes += chunk.bytes
        self._on_the_way += chunk.size

    def arrived(self, chunk: Chunk) -> None:
        """Count a chunk that came to the agent."""
        if self.is_current(chunk):
            self._on_the_way -= chunk.size

    def done(self, chunk: Chunk) -> None:
        """Count a chunk that was folded or dropped; one of an earlier epoch was given up then."""
        if self.is_current(chunk):
            self._records -= chunk.size
            self._bytes -= chunk.bytes
            self._changed.set()

    def clear(self) -> int:
        """Begin an epoch: give up what was delivered, for it is delivered again.

        Returns how many records never came to the agent; it sees itself that others are old.
        """
        lost = self._on_the_way
        self.epoch += 1
        self._records = self._bytes = self._on_the_way = 0
        self._changed.set()
        return lost

    @property
    def sign(self) -> tuple[int, int, int] | None:
        """What changes while chunks are folded; None where none waits for it."""
        return (self.epoch, self._records, self._steps) if self._records else None

    def step(self) -> None:
        """Count a step towards the fold of a chunk: a piece of it, a look for definitions that it
        waits for, which may stand behind a transaction that is open for minutes, or a read of the
        changelog where its partition is taken back."""
        self._steps += 1

    def _is_full(self) -> bool:
        return self._records >= MAX_OUTSTANDING or self._bytes >= MAX_OUTSTANDING_BYTES

    async def has_room(self, seconds: float) -> bool:
        """Wait for at most ``seconds`` until more may be fetched; tell whether."""
        if not self._is_full():
            return True
        try:
            async with asyncio.timeout(seconds):
                while self._is_full():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


@dataclass
class WorkerContext:
    """What one worker process has: each part once."""

    settings: Settings
    store: StateStore
    producers: Producers
    ends: EndOffsets
    log_ends: EndOffsets
    """Asks where logs end, what transactions have open included."""
    ticker: Ticker
    definitions: DefinitionsReader
    member_keys: MemberKeysReader
    reply_partitions: Mapping[str, int]
    cluster_id: str
    destinations: Destinations | None = None
    """Knows which replies can arrive; without, all are believed to."""
    describer: Describer | None = None
    """Tells the topics' ids; without, topics are believed to be those that they were."""
    tracing: Tracing | None = None
    """Told of records that are traced; without, none is."""
    outstanding: Outstanding = field(default_factory=Outstanding)
    removals: Removals = field(
        default_factory=lambda: Removals(
            lambda topic, offsets: metrics.INPUTS_REMOVED.labels(topic).inc(offsets)
        )
    )
    """Says which inputs were removed before they were folded."""
    fatal: asyncio.Future[BaseException] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Set by whoever finds that the worker cannot go on safely."""
    erasing: Erasing = field(init=False)
    """Takes what was forgotten out of the stores' files."""

    def __post_init__(self) -> None:
        """Have failures of parts stop the worker."""
        self.erasing = Erasing(self.fail)

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

"""One worker process of the simulation: the production parts, put together as `processor.worker`
does, until it is killed or stops itself."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import ConsumerRebalanceListener

from processor.agent import ChunkAgent
from processor.context import WorkerContext
from processor.definitions import DefinitionsReader
from processor.folding import Folding
from processor.recovery import take_back
from processor.transactions import Producers
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.member_keys import MemberKeysReader
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, changelog_topic
from tests.simulation.broker import Cluster, Log
from tests.simulation.clock import Choices
from tests.simulation.faust_app import SimulatedApp
from tests.simulation.group import Group
from tests.simulation.member import GroupConsumer
from tests.simulation.memory_store import LOST, MemoryStores, Saved
from tests.simulation.wire import WIRE, Wire


@dataclass
class Machine:
    """Where a worker runs: its name in the group, and the disk that outlives it."""

    name: str
    disk: dict[int, Saved] = field(default_factory=dict)
    starts: int = 0


class Process:
    """A worker from its start to its end."""

    def __init__(
        self,
        machine: Machine,
        *,
        settings: Settings,
        cluster: Cluster,
        group: Group,
        choices: Choices,
    ) -> None:
        machine.starts += 1
        self.machine = machine
        self.wire = Wire(cluster, choices, self)
        self.ended: BaseException | None = None
        """Why it stopped itself."""
        self.context: WorkerContext | None = None
        self.app: SimulatedApp | None = None
        self._settings = settings
        self._group = group
        self._choices = choices
        self._running = asyncio.ensure_future(self._run())

    @property
    def alive(self) -> bool:
        """Whether it runs, frozen or not."""
        return not self.wire.dead

    def changelog(self, partition: int) -> Log:
        """Return the changelog of a partition."""
        name = changelog_topic(self._settings.application_id).name
        return self.wire.cluster.logs[TopicPartition(self._settings.topic(name), partition)]

    def kill(self) -> None:
        """SIGKILL: what the disk has not written out is lost."""
        if self.wire.dead:
            return
        self.wire.kill()
        if self._running is not asyncio.current_task():
            self._running.cancel()
        if self.app is not None:
            self.app.consumer._stopped.set()  # or it waits for acknowledgements for ever
        lost = self._choices.one_of(LOST)
        for saved in self.machine.disk.values():
            saved.lose(lost)

    async def _run(self) -> None:
        WIRE.set(self.wire)
        async with contextlib.AsyncExitStack() as stack:
            context = self.context = await self._context(stack)
            app = self.app = SimulatedApp(context, self._client(), self.wire)
            agent = ChunkAgent(context, Folding(context, take_back, app.consumer.is_member))
            listener = ConsumerRebalanceListener(cast("Any", app.consumer._thread))
            tasks: Iterable[asyncio.Task[Any]] = [
                asyncio.create_task(app.recover()),
                asyncio.create_task(app.commit()),
                asyncio.create_task(agent.run(app.stream)),
                asyncio.create_task(app.client.be_member(listener, app.assigned)),
            ]
            fatal: Any = context.fatal
            await asyncio.wait({*tasks, fatal}, return_when=asyncio.FIRST_COMPLETED)
            await self.wire.alive()
            self.ended = context.fatal.result() if context.fatal.done() else _reason(tasks)
            self.kill()

    def _client(self) -> GroupConsumer:
        topic = self._settings.topic
        changelog = changelog_topic(self._settings.application_id).name
        topics = [*map(topic, INPUT_TOPICS), topic(changelog)]
        group = topic(self._settings.application_id)
        return GroupConsumer(self.wire, self._group, group, self.machine.name, topics)

    async def _context(self, stack: contextlib.AsyncExitStack) -> WorkerContext:
        settings = self._settings
        definitions = await stack.enter_async_context(DefinitionsReader(settings))
        ends = await stack.enter_async_context(EndOffsets(settings))
        log_ends = await stack.enter_async_context(EndOffsets(settings, "read_uncommitted"))
        return WorkerContext(
            settings=settings,
            store=MemoryStores(self.machine.disk, lambda: self.wire.dead),
            producers=Producers(settings),
            ends=ends,
            log_ends=log_ends,
            ticker=cast("Any", SimpleNamespace(soon=lambda *_: None)),
            definitions=definitions,
            member_keys=await stack.enter_async_context(MemberKeysReader(settings)),
            reply_partitions={},
            cluster_id="simulated",
        )


def _reason(tasks: Iterable[asyncio.Task[Any]]) -> BaseException:
    """Return why a task ended that should never end."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            return error
    return RuntimeError("a task of the worker ended")

"""As much of a Faust application as the chunk path meets.

Faust's consumer with its drain loop, its conductor, its stream iterator, its recovery and its
handling of revocations and assignments are the real ones; their surroundings (services, threads,
tables, sensors) stand here as plain data.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition
from faust._cython.streams import StreamIterator
from faust.app.base import App
from faust.events import Event
from faust.transport.conductor import ConductorCompiler
from faust.types import TP
from mode.utils.logging import get_logger
from mode.utils.queues import FlowControlEvent, ThrowableQueue
from yarl import URL

from processor.chunk_transport import ChunkConsumer, ChunkConsumerThread, ChunkSchema
from processor.context import WorkerContext
from processor.fetching import HandedOut
from processor.recovery import FencedRecovery
from schemas.topics import INPUT_TOPICS, changelog_topic
from tests.simulation.member import GroupConsumer
from tests.simulation.wire import Wire

BUFFER = 4096
"""`stream_buffer_maxsize` of the application."""


class Nothing:
    """Takes every call, and does nothing: sensors and the like."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


async def _send(*_: Any, **__: Any) -> None:
    """A signal that nobody listens to."""


class SimulatedThread(ChunkConsumerThread):
    """The consumer's thread, on the same loop: what crosses to it takes a moment."""

    def __init__(self, consumer: Any, client: GroupConsumer, wire: Wire) -> None:
        # Faust's would start a thread with an event loop of its own.
        self.consumer = consumer
        self.app = consumer.app
        self.beacon = None  # type: ignore[assignment]
        self._consumer = client
        self._wire = wire
        self._handed_out = HandedOut()

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kw: Any) -> Any:
        """Call a function of the thread."""
        await self._wire.alive()
        await self._cross()
        result = await fun(*args, **kw)
        await self._cross()
        return result

    async def _cross(self) -> None:
        if self._wire.choices.one_of((False, False, True)):
            await asyncio.sleep(self._wire.delay())
            await self._wire.alive()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Call the consumer in its own thread."""
        await self._cross()
        await self.consumer.on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Call the consumer in its own thread."""
        await self._cross()
        await self.consumer.on_partitions_assigned(assigned, generation_id)


class SimulatedConsumer(ChunkConsumer):
    """The production consumer with a thread that is none."""

    def _new_consumer_thread(self) -> SimulatedThread:
        return SimulatedThread(self, self.app.client, self.app.wire)  # type: ignore[attr-defined]


class _Table:
    recovery_buffer_size = 10_000
    on_recovery_completed = staticmethod(_send)

    def persisted_offset(self, _: TP) -> None:
        """Recovery asks the store."""


class _Tables(dict[str, Any]):
    """The one table, whose changelog recovery reads."""

    def __init__(self, app: "SimulatedApp", changelog: str) -> None:
        table = _Table()
        super().__init__(state=table)
        self._app = app
        self._changelogs = {changelog: table}
        self.changelog_topics = {changelog}
        self.changelog_queue: Any = None
        self.on_commit = self.on_rebalance_start = lambda *_: None
        self.on_actives_ready = self.on_standbys_ready = lambda: None

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """As Faust's."""
        self._app.recovery.on_partitions_revoked(revoked)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """As Faust's, without channels for changelogs."""
        await asyncio.sleep(0)
        self._app.consumer.pause_partitions(
            {tp for tp in self._app.consumer.assignment() if tp.topic in self._changelogs}
        )
        await asyncio.sleep(0)
        await self._app.recovery.on_rebalance(assigned, revoked, newly_assigned, generation_id)


class SimulatedApp:
    """What Faust's services ask their application for."""

    _on_partitions_revoked: Any = App._on_partitions_revoked
    _on_partitions_assigned: Any = App._on_partitions_assigned
    _update_assignment = App._update_assignment
    _consumer_wait_empty = App._consumer_wait_empty
    _start_span_from_rebalancing = App._start_span_from_rebalancing
    _on_rebalance_when_stopped = App._on_rebalance_when_stopped

    def __init__(self, context: WorkerContext, client: GroupConsumer, wire: Wire) -> None:
        settings = context.settings
        self.context = context
        self.client = client
        self.wire = wire
        self.crashed: list[BaseException] = []
        self.consumer_generation_id = 0
        self.should_stop = self.in_transaction = self.client_only = self.in_recovery = False
        self.rebalancing = self.unassigned = False
        self._assignment: set[TP] | None = None
        self._producer = self.tracer = self._rebalancing_span = None
        self.log = self.logger = get_logger("simulation")
        self.log.dev = lambda *_, **__: None  # type: ignore[attr-defined]
        self.conf = _conf(context)
        self.sensors = self.monitor = Nothing()
        self.producer = SimpleNamespace(buffer=SimpleNamespace(wait_until_ebb=_send))
        self.flow_control = FlowControlEvent(initially_suspended=True)
        self.topics = SimpleNamespace(
            acks_enabled_for=lambda _: True,
            _acking_topics={settings.topic(name) for name in INPUT_TOPICS},
            maybe_wait_for_subscriptions=_send,
            on_partitions_assigned=_send,
        )
        self.agents = SimpleNamespace(on_rebalance=_send, human_tracebacks=str)
        self.actives: set[TP] = set()
        self.assignor = SimpleNamespace(
            assigned_actives=lambda: self.actives, assigned_standbys=set
        )
        self.on_rebalance_complete = SimpleNamespace(send=_send)
        self.on_partitions_revoked = self.on_partitions_assigned = self.on_rebalance_complete
        self._attachments = SimpleNamespace(publish_for_tp_offset=_send)
        self._fetcher = SimpleNamespace(maybe_start=self._start_fetcher)
        self._draining: asyncio.Task[None] | None = None
        changelog = settings.topic(changelog_topic(settings.application_id).name)
        self.tables = _Tables(self, changelog)
        self._callbacks: dict[TP, Any] = {}
        self._channel = _Channel(self)
        transport: Any = SimpleNamespace(
            app=self, create_transaction_manager=lambda **_: None, _topic_waiters={}
        )
        self.consumer = SimulatedConsumer(
            transport,
            self._on_message,
            on_partitions_revoked=self._on_partitions_revoked,
            on_partitions_assigned=self._on_partitions_assigned,
        )
        self.stream = _Stream(self, self._channel)
        self.recovery = FencedRecovery(cast("Any", self), cast("Any", self.tables))

    async def crash(self, reason: BaseException) -> None:
        """End the worker."""
        self.crashed.append(reason)
        self.context.fail(reason)

    def on_rebalance_start(self) -> None:
        """Told by the consumer's thread before anything else."""
        self.rebalancing = True

    def on_rebalance_return(self) -> None:
        """Nothing."""

    def on_rebalance_end(self) -> None:
        """The worker is ready."""
        self.rebalancing = False

    async def _producer_flush(self, _: Any) -> None:
        """Faust's own producer sends nothing."""

    def create_event(self, key: Any, value: Any, headers: Any, message: Any) -> Event:
        """Return an event of a message."""
        return Event(cast("Any", self), key, value, headers, message)

    async def _start_fetcher(self) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self.drain())

    async def drain(self) -> None:
        """Faust's drain loop; where it ends, the application crashes."""
        never = SimpleNamespace(_stopped=SimpleNamespace(is_set=lambda: False))
        try:
            await self.consumer._drain_messages(cast("Any", never))
        except Exception as error:  # noqa: BLE001
            await self.crash(error)

    async def commit(self) -> None:
        """Faust's task that commits; what is acknowledged is forgotten with it."""
        while True:
            await asyncio.sleep(self.conf.broker_commit_interval)
            await self.consumer.commit()

    async def recover(self) -> None:
        """Faust's recovery task; where it ends, the application crashes."""
        try:
            await FencedRecovery._restart_recovery.fun(self.recovery)
        except Exception as error:  # noqa: BLE001
            await self.crash(error)

    async def _on_message(self, message: Any) -> None:
        callback = self._callbacks.get(message.tp)
        if callback is None:
            conductor: Any = SimpleNamespace(app=self, on_message_decode_error=_send)
            callback = ConductorCompiler().build(
                conductor, message.tp, {cast("Any", self._channel)}
            )
            self._callbacks[message.tp] = callback
        await callback(message)

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """What the assignor hears before the consumer does."""
        self.actives = {TP(*partition) for partition in partitions}


class _Channel:
    """The channel of the agent's topics: it decodes nothing, and queues."""

    key_type = value_type = None

    def __init__(self, app: SimulatedApp) -> None:
        self._decode = ChunkSchema().compile(app)
        self.queue: ThrowableQueue[Any] = ThrowableQueue(
            maxsize=BUFFER, flow_control=app.flow_control, clear_on_resume=True
        )
        self.queue.pressure_high_size  # noqa: B018 (cached while nothing depends on its time)

    async def decode(self, message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG002
        return await self._decode(message)

    async def put(self, event: Any) -> None:
        await self.queue.put(event)

    async def __anext__(self) -> Any:
        return await self.queue.get()


class _Stream:
    """A stream around Faust's own iterator, which skips what is of an old generation."""

    def __init__(self, app: SimulatedApp, channel: _Channel) -> None:
        self.app = app
        self.channel = channel
        self.loop = None
        self.enable_acks = True
        self.current_event: Any = None
        self._skipped_value = object()
        self._processors: list[Any] = []
        self._on_stream_event_in = self._on_stream_event_out = lambda *_: None
        self._on_message_in = self._on_message_out = lambda *_: None

    async def on_merge(self, value: Any) -> Any:
        return value

    def _set_current_event(self, event: Any = None) -> None:
        self.current_event = event

    def noack(self) -> "_Stream":
        self.enable_acks = False
        return self

    async def events(self) -> AsyncIterator[Any]:
        iterator = StreamIterator(self)
        while True:
            value, state = await iterator.next()
            try:
                if value is not self._skipped_value and self.current_event is not None:
                    yield self.current_event
            finally:
                event, self.current_event = self.current_event, None
                iterator.after(event, self.enable_acks or value is self._skipped_value, state)


def _conf(context: WorkerContext) -> Any:
    options: Mapping[str, Any] = {
        "id": context.group,
        "name": context.group,
        "broker_commit_every": None,
        "broker_commit_interval": 1.0,
        "broker_commit_livelock_soft_timeout": 300.0,
        "broker_session_timeout": 8.0,
        "broker_request_timeout": 40.0,
        "recovery_consistency_check": False,
        "store": URL("memory://"),
        "stream_recovery_delay": 0.0,
        "stream_wait_empty": True,
        "_cython_optimizations": False,
        "ConsumerScheduler": Nothing,
    }
    return _Conf(**options)


class _Conf(SimpleNamespace):
    """Settings that are data."""

    SETTINGS: Mapping[str, Any] = {
        "cython_optimizations": SimpleNamespace(storage_name="_cython_optimizations")
    }

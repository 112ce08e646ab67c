"""The composition root: a Faust application around one worker's context."""

from collections.abc import Mapping
from typing import Any, cast
from zlib import crc32

import faust
from aiokafka import TopicPartition
from faust.types.auth import CredentialsT

from processor.agent import ChunkAgent
from processor.chunk_transport import ChunkConsumer, ChunkSchema, ChunkTransport
from processor.context import WorkerContext
from processor.dry_runs import DryRuns
from processor.fetching import MAX_RECORDS
from processor.folding import Folding
from processor.recovery import FencedTableManager, take_back
from processor.state_table import add_state_table
from schemas.settings import Settings
from schemas.topics import FETCHED_TOPICS

SESSION_SECONDS = 8
"""A worker that is frozen or cut off loses its partitions after this."""


POLL_INTERVAL_SECONDS = 600
"""A worker whose event loop hangs for so long leaves its group; see ``processor.membership``."""


class App(faust.App):
    """A Faust application that knows its context."""

    def __init__(self, context: WorkerContext, **options: Any) -> None:
        self.context = context
        self.dry_runs = DryRuns(context, self._pass_dry_runs)
        super().__init__(context.group, **options)

    async def _pass_dry_runs(self, next_offsets: Mapping[TopicPartition, int]) -> bool:
        return await cast("ChunkConsumer", self.consumer).pass_dry_runs(next_offsets)


def build_app(context: WorkerContext, instance: str) -> App:
    """Build the application of one worker; ``instance`` is its static group membership."""
    settings = context.settings
    app = App(
        context,
        broker=[f"kafka://{server}" for server in settings.kafka.split(",")],
        broker_credentials=_credentials(settings),
        datadir=str(context.store.directory.parent / "faust"),
        store="memory://",
        TableManager=FencedTableManager,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        table_standby_replicas=0,
        consumer_group_instance_id=membership(instance),
        consumer_max_fetch_size=1024 * 1024,
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=2,
        broker_rebalance_timeout=30,
        broker_request_timeout=40,
        broker_max_poll_interval=POLL_INTERVAL_SECONDS,
        broker_commit_interval=1,
        broker_max_poll_records=MAX_RECORDS,
        stream_buffer_maxsize=4096,
        stream_recovery_delay=0,
        stream_wait_empty=True,
        producer_acks=-1,
    )
    app.transport = ChunkTransport(app.conf.broker_consumer, app)
    add_state_table(app, context)
    chunks = app.topic(
        *(settings.topic(name) for name in FETCHED_TOPICS),
        schema=ChunkSchema(),
        internal=False,
    )

    async def is_member() -> bool:
        return await cast("ChunkConsumer", app.consumer).is_member()

    folding = Folding(context, take_back, is_member)
    agent = ChunkAgent(context, folding, app.dry_runs.take)
    app.agent(chunks, name="chunks", concurrency=1)(agent.run)
    return app


def membership(instance: str) -> str:
    """Return the static group membership of a worker with the topics that it reads.

    A static member that comes back gets its partitions back, whatever it subscribes to by then: a
    version with more topics would never see them. So it is another member, and the one before it
    leaves with its session.
    """
    return f"{instance}-{crc32(','.join(FETCHED_TOPICS).encode()):08x}"


def _credentials(settings: Settings) -> CredentialsT | None:
    options = settings.kafka_options()
    context = options.get("ssl_context")
    if settings.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password,
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None

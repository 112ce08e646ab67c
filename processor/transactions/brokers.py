"""What transactions need of a cluster: who leads a partition, who coordinates a producer, and which
of the two protocols it has.

This is the one module that talks to aiokafka's client, one for each producer: a broker answers the
requests of one connection one after the other, so partitions that shared one would wait for each
other. ``tests/unit/processor/test_transaction_contract.py`` fails when aiokafka changes under it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaConnectionError, ProducerClosed, for_code
from aiokafka.protocol.coordination import FindCoordinatorRequest

from processor.transactions.requests import (
    ApiVersions,
    CommitAndRenew,
    EndTxnRequestV5,
    ProduceInTransaction,
    ProduceRequestV12,
)
from schemas.kafka.asking import ask_any
from schemas.settings import Settings

REQUEST_SECONDS = 15
"""No answer to a request for so long: the connection is given up. A transaction has ten."""
ASK_SECONDS = 15
REFRESH_SECONDS = 1.0
"""How long a look for leaders is waited for, before what is known is tried again."""

_TRANSACTION_VERSION, _KIP_890 = "transaction.version", 2


class Brokers:
    """The cluster, as one transactional producer sees it."""

    def __init__(self, settings: Settings, transactional_id: str) -> None:
        self._id = transactional_id
        self._client = AIOKafkaClient(
            **settings.kafka_options(),
            client_id=transactional_id,
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )
        self._topics: set[str] = set()
        self._coordinator: int | None = None
        self._closed = False

    async def connect(self) -> None:
        """Find the brokers.

        Raises:
            KafkaError: none answers, or they do not take the login.
        """
        await self._client.bootstrap()

    async def close(self) -> None:
        """Close all connections; what waits for an answer fails."""
        self._closed = True
        await self._client.close()

    async def have_kip_890(self) -> bool:
        """Tell whether the cluster agreed upon transactions of two requests.

        Raises:
            KafkaError: no broker answers.
        """
        try:
            told = await ask_any(self._client, ApiVersions(), ASK_SECONDS)
        except NotImplementedError:  # it is too old for the question
            return False
        return bool(
            told.error_code == 0
            and told.finalized(_TRANSACTION_VERSION) >= _KIP_890
            and told.newest(ProduceInTransaction.API_KEY) >= ProduceRequestV12.API_VERSION
            and told.newest(CommitAndRenew.API_KEY) >= EndTxnRequestV5.API_VERSION
        )

    async def ask(self, broker: int, request: Any) -> Any:
        """Send a request to a broker; return its answer.

        Raises:
            KafkaError: it cannot be reached, or the answer did not come: whether the request was
                served is unknown.
        """
        if self._closed:
            raise ProducerClosed
        return await self._client.send(broker, request)

    async def coordinator(self) -> int:
        """Return the broker that coordinates the producer's transactions, connected.

        Raises:
            KafkaError: none says who that is, or it cannot be reached.
        """
        if self._coordinator is None:
            request = FindCoordinatorRequest(self._id, CoordinationType.TRANSACTION)
            told = await ask_any(self._client, request, ASK_SECONDS)
            if told.error_code:
                raise for_code(told.error_code)(self._id)
            self._coordinator = int(told.coordinator_id)
        if not await self._client.ready(self._coordinator):
            raise KafkaConnectionError("the transaction coordinator cannot be reached")
        return self._coordinator

    def forget_coordinator(self) -> None:
        """Look for the coordinator anew, next time."""
        self._coordinator = None

    async def by_leader(
        self, places: Iterable[TopicPartition]
    ) -> Mapping[int, list[TopicPartition]]:
        """Group partitions by the broker that leads them; those without a known leader are left
        out."""
        places = list(places)
        if not self._topics.issuperset(place.topic for place in places):
            self._topics.update(place.topic for place in places)
            await self._wait(self._client.set_topics(self._topics))
        led: dict[int, list[TopicPartition]] = defaultdict(list)
        for place in places:
            leader = self._client.cluster.leader_for_partition(place)
            if leader is not None and leader >= 0:
                led[leader].append(place)
        return led

    async def look_for_leaders(self) -> None:
        """Ask who leads, and wait for the answer for a while."""
        await self._wait(self._client.force_metadata_update())

    async def _wait(self, refreshed: "asyncio.Future[Any]") -> None:
        await asyncio.wait([asyncio.ensure_future(refreshed)], timeout=REFRESH_SECONDS)

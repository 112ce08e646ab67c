"""Questions that any broker can answer: where one is down, another is asked.

aiokafka picks one broker at random. Who starts, or takes partitions over, often does so just
because a broker went away, and would end where it happens to pick that one.
"""

import asyncio
import random
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest
from typing_extensions import override

from schemas.settings import Settings

ADMIN_SECONDS = 40
BROKER_SECONDS = 5
"""How long one broker of several is waited for, where the others' answers do too."""


async def ask_any(client: AIOKafkaClient, request: Any, seconds: float) -> Any:
    """Ask one known broker after the other, within so many seconds in all; return the answer.

    Raises:
        KafkaError: none answers.
        NotImplementedError: one is too old for the question.
    """
    brokers = [broker.nodeId for broker in client.cluster.brokers()]
    random.shuffle(brokers)
    failure: KafkaError = KafkaConnectionError("no broker is known")
    for broker in brokers:
        try:
            async with asyncio.timeout(seconds / len(brokers)):
                return await client.send(broker, request)
        except TimeoutError:
            failure = RequestTimedOutError()
            client.force_metadata_update()  # goes on by itself; the broker may be gone from there
        except KafkaError as error:
            failure = error
    raise failure


class AdminClient(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's, which asks any broker what any can answer."""

    @override
    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        if node_id is not None:
            return await super()._send_request(request, node_id)
        return await ask_any(self._client, request, ADMIN_SECONDS)

    async def describe_topics_everywhere(self, topics: list[str]) -> list[list[Any]]:
        """Return the topics as each broker describes them that answers.

        What was made a moment ago is not known to all brokers at once.

        Raises:
            KafkaError: none answers.
        """
        brokers = [broker.nodeId for broker in self._client.cluster.brokers()]
        asked = [self._described_by(broker, topics) for broker in brokers]
        answers = [answer for answer in await asyncio.gather(*asked) if answer is not None]
        return answers or [await self.describe_topics(topics)]

    async def _described_by(self, broker: int, topics: list[str]) -> list[Any] | None:
        """Return what one broker says of topics; None where it does not answer."""
        try:
            async with asyncio.timeout(BROKER_SECONDS):
                answer = await self._send_request(MetadataRequest(topics), broker)
        except (KafkaError, TimeoutError):
            return None
        found: list[Any] = answer.to_object()["topics"]
        return found


def admin(settings: Settings) -> AdminClient:
    """Return an admin client, not started yet.

    Raises:
        SettingsError: a certificate or key file cannot be read.
    """
    return AdminClient(**settings.kafka_options())

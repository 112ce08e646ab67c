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
from typing_extensions import override

from schemas.settings import Settings

ADMIN_SECONDS = 40


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


def admin(settings: Settings) -> AdminClient:
    """Return an admin client, not started yet.

    Raises:
        SettingsError: a certificate or key file cannot be read.
    """
    return AdminClient(**settings.kafka_options())

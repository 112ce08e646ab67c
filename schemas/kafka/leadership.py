"""Learning anew who leads a partition, where the broker that was asked says that it does not.

aiokafka does so after a fetch that is refused, but not where it asks for the offset to begin at:
then it asks the same broker every 100 ms until its metadata is five minutes old, and fetches
nothing of all partitions that it believes this broker leads. So it is with an answer to a fetch
that aiokafka has no word for, such as that the broker's disk failed. Who makes a consumer by
``schemas.kafka.consumers`` has this.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

_GOOD = 0
_OUT_OF_RANGE = 1
"""That leads elsewhere: to another offset, at the same broker."""

_send = AIOKafkaClient.send


async def send_and_mind(client: Any, node_id: Any, request: Any, **options: Any) -> Any:
    """Send a client's request; instead of ``AIOKafkaClient.send``, whose errors it raises."""
    response = await _send(client, node_id, request, **options)
    if isinstance(request, FetchRequest | OffsetRequest) and is_refused(response):
        client.force_metadata_update()  # goes on by itself
    return response


def is_refused(response: Any) -> bool:
    """Whether a broker's answer to a fetch, or to a question for offsets, has a partition that it
    does not serve."""
    return any(
        code not in (_GOOD, _OUT_OF_RANGE)
        for _, partitions in response.topics
        for _, code, *_ in partitions
    )

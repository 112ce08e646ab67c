"""Sharing out the partitions of a group only where the topics of all its members are known.

The leader of a group shares out what it knows of the cluster. aiokafka lets it do so with topics
missing, where the broker could not be asked since the consumer subscribed. Then nobody gets any of
their partitions: for five minutes, until the metadata is looked at again, and for good where the
leader is a static member that comes back meanwhile, for it is given what it had. Who makes a
consumer by ``schemas.kafka.consumers`` joins again instead, until they are known.
"""

import asyncio
import contextlib
import logging
from collections.abc import Set
from typing import Any

from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.coordinator.protocol import ConsumerProtocol

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3
"""How long the others wait for one try; shorter than a session, since no heartbeat is sent."""

_on_join_leader = CoordinatorGroupRebalance._on_join_leader


def install() -> None:
    """Have every leader of a group in this process know its topics first."""
    CoordinatorGroupRebalance._on_join_leader = _share_out


async def _share_out(rebalance: Any, response: Any) -> Any:
    """Share the partitions out; None, and the group joins anew, where topics are not known."""
    coordinator = rebalance._coordinator
    wanted = {
        topic
        for *_, metadata in response.members
        for topic in ConsumerProtocol.METADATA.decode(metadata).subscription
    }
    missing = await _missing(coordinator._client, wanted)
    if not missing:
        return await _on_join_leader(rebalance, response)
    logger.warning("the broker does not tell of %s; joining anew", ", ".join(sorted(missing)))
    coordinator.request_rejoin()
    return None


async def _missing(client: Any, wanted: Set[str]) -> Set[str]:
    """Ask for topics until all are known; return those that are not when the time is over."""
    client.set_topics(wanted)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _unknown(client, wanted):
                await client.force_metadata_update()
                await asyncio.sleep(client._retry_backoff)
    return _unknown(client, wanted)


def _unknown(client: Any, wanted: Set[str]) -> Set[str]:
    return {topic for topic in wanted if not client.cluster.partitions_for_topic(topic)}

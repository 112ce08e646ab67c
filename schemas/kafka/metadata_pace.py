"""Asking for metadata at a pace, where the answer does not help.

While a partition has no leader, for instance because its topic was deleted, aiokafka's fetcher and
sender want new metadata as soon as the last ones came. That is as often as a broker answers, with
half a core on either side. Who makes a consumer by ``schemas.kafka.consumers`` has a pause between,
which grows while it goes on, in every client of the process.
"""

import asyncio
import math
from collections.abc import Set
from typing import Any

from aiokafka.client import AIOKafkaClient

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 1.0
"""The pause between two questions; doubled while they follow each other closely."""

_PACE = "_milestream_metadata_pace"

_metadata_update = AIOKafkaClient._metadata_update


def install() -> None:
    """Have every client of this process ask for metadata at a pace."""
    AIOKafkaClient._metadata_update = _update


async def _update(client: Any, cluster: Any, topics: Any) -> Any:
    if cluster is not client.cluster:  # somebody asks for all there is, once
        return await _metadata_update(client, cluster, topics)
    pace: Pace = client.__dict__.setdefault(_PACE, Pace())
    loop = asyncio.get_running_loop()
    # In pieces: other topics may be wanted meanwhile, and nobody says so.
    while pause := pace.pause(frozenset(client._topics), loop.time()):  # noqa: ASYNC110
        await asyncio.sleep(min(pause, FIRST_SECONDS))
    pace.asked(frozenset(topics), loop.time())
    return await _metadata_update(client, cluster, topics)


class Pace:
    """When one client may ask again; times in seconds, by one clock."""

    def __init__(self) -> None:
        self._at = -math.inf
        self._pause = 0.0
        self._topics: Set[str] = frozenset()

    def pause(self, topics: Set[str], now: float) -> float:
        """Return how long to wait before these topics are asked for; other topics than the last
        ones are asked for at once."""
        return 0.0 if topics != self._topics else max(self._at + self._pause - now, 0.0)

    def asked(self, topics: Set[str], now: float) -> None:
        """Take note of a question."""
        follows = topics == self._topics and now - self._at < 2 * self._pause
        self._pause = min(2 * self._pause, LONGEST_SECONDS) if follows else FIRST_SECONDS
        self._at, self._topics = now, topics

"""Where a worker writes: how large a batch each topic takes, and whether a reply can arrive.

The topics of replies are others'. Whoever deletes one, takes its leader away or lets it take less
than a reply has must not hold up a partition: what cannot arrive is left out.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Set

from aiokafka.errors import KafkaError

from schemas.kafka.descriptions import Describer, TopicDescription
from schemas.settings import Settings
from schemas.topics import MIB, REPLIES, TOPICS, changelog_topic

logger = logging.getLogger(__name__)

LIMIT = "max.message.bytes"
KAFKAS_LIMIT = MIB
"""What a topic takes whose own limit the broker does not tell; Kafka's default is 12 bytes more."""
FRESH_SECONDS = 1
"""How old what is known of the reply topics may be."""
LEADER_SECONDS = 5
"""For so long a reply waits for its partition to have a leader, as after a broker's end; who asked
waits no longer either."""
_PAUSE_SECONDS = 0.2

Destination = tuple[str, int]
"""Topic (with prefix) and partition."""


def room(limit: int) -> int:
    """Return how large a batch may be before compression, so that a topic surely takes it: what
    cannot be compressed grows by up to a 256th."""
    return limit - limit // 256 - 512


class Destinations:
    """What is known of the topics that a worker writes to."""

    def __init__(self, settings: Settings, describer: Describer) -> None:
        topic = settings.topic
        changelog = changelog_topic(settings.application_id)
        own = {topic(t.name): t for t in (*TOPICS.values(), changelog)}
        self._limits = {name: int(t.config[LIMIT]) for name, t in own.items()}
        self._catalogue = dict(self._limits)
        self._replies = [topic(REPLIES), *settings.reply_topics]
        self._describer = describer
        self._known: Mapping[str, TopicDescription] = {}
        self._known_at = float("-inf")
        self._leaderless_since: dict[Destination, float] = {}
        self._asking = asyncio.Lock()

    async def learn_limits(self) -> None:
        """Ask what each topic takes.

        Raises:
            KafkaError: the broker does not answer.
        """
        told = await self._describer.config({*self._limits, *self._replies}, LIMIT)
        self._limits |= {name: int(limit) for name, limit in told.items()}
        for name, limit in self._catalogue.items():
            if self._limits[name] < limit:
                logger.warning(
                    "%s takes batches of %d bytes, and should take %d (%s): larger records cannot "
                    "be written",
                    name, self._limits[name], limit, LIMIT,
                )  # fmt: skip

    def limit(self, topic: str) -> int:
        """Return how large a batch a topic takes, in bytes."""
        return self._limits.get(topic, KAFKAS_LIMIT)

    async def unreachable(self, places: Collection[Destination]) -> Set[Destination]:
        """Return those that cannot be written to: there is no such partition, or it is without a
        leader, and was so for ``LEADER_SECONDS``."""
        while True:
            try:
                async with self._asking:
                    await self._refresh()
            except KafkaError as error:
                logger.warning("cannot ask for the topics of replies: %r", error)
                return set()  # the transaction finds out, within its own time
            gone = {place for place in places if self._leader(place) is None}
            waiting = self._leaderless({place for place in places if place not in gone})
            overdue = {place for place, since in waiting.items() if since > LEADER_SECONDS}
            if len(overdue) == len(waiting):
                return gone | overdue
            await asyncio.sleep(_PAUSE_SECONDS)
            self._known_at = float("-inf")

    async def _refresh(self) -> None:
        if time.monotonic() - self._known_at > FRESH_SECONDS:
            self._known = await self._describer.topics(self._replies)
            self._known_at = time.monotonic()

    def _leader(self, place: Destination) -> int | None:
        topic = self._known.get(place[0])
        return None if topic is None else topic.leaders.get(place[1])

    def _leaderless(self, places: Set[Destination]) -> Mapping[Destination, float]:
        """Return those without a leader, and for how many seconds they were so."""
        now = time.monotonic()
        without = {place for place in places if (self._leader(place) or 0) < 0}
        for place in places - without:
            self._leaderless_since.pop(place, None)
        for place in without:
            self._leaderless_since.setdefault(place, now)
        return {place: now - self._leaderless_since[place] for place in without}

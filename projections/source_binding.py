"""Which cluster's topics, and under which prefix, the read models of a database are made of.

Checkpoints are offsets: those of one cluster say nothing about the topics of another. Where these
are longer, a projector would pass over their beginning without a word.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from projections.batch import CheckpointKey
from projections.checkpoints import Connection
from schemas.kafka import asking
from schemas.kafka.descriptions import Describer
from schemas.settings import Settings, variable


class OtherSource(Exception):
    """The read models are of another cluster, or of topics with another prefix."""


class TopicMadeAnew(OtherSource):
    """A topic was deleted and made anew: the read model has what the one before it had."""


async def cluster_id(settings: Settings) -> str:
    """Return the id of the Kafka cluster; empty where the broker has none.

    Raises:
        KafkaError: the broker does not answer.
    """
    admin = asking.admin(settings)
    await admin.start()
    try:
        return str((await admin.describe_cluster()).get("cluster_id") or "")
    finally:
        await admin.close()


async def bind(connection: Connection, settings: Settings, cluster: str) -> None:
    """Bind the database to a cluster and the settings' prefix; the first to come decides.

    Raises:
        OtherSource: it is bound to others.
    """
    await connection.execute(
        "INSERT INTO milestream_private.projection_source (cluster_id, topic_prefix) "
        "VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [cluster, settings.topic_prefix],
    )
    cursor = await connection.execute(
        "SELECT cluster_id, topic_prefix FROM milestream_private.projection_source"
    )
    ((bound_cluster, bound_prefix),) = await cursor.fetchall()
    if (bound_cluster, bound_prefix) != (cluster, settings.topic_prefix):
        raise OtherSource(
            f"the database's read models are made of Kafka cluster {bound_cluster!r}, topic prefix "
            f"{bound_prefix!r}, and the settings name cluster {cluster!r}, topic prefix "
            f"{settings.topic_prefix!r}: change {variable('kafka')} or {variable('topic_prefix')}, "
            f"or give these topics a database of their own ({variable('database_url')})"
        )


async def topic_ids(
    settings: Settings, places: Collection[CheckpointKey]
) -> Mapping[CheckpointKey, UUID]:
    """Return the ids of the topics that checkpoints are of, of those that there are.

    Raises:
        KafkaError: the broker does not answer, or is older than Kafka 2.8.
    """
    names = {place.topic: settings.topic(place.topic) for place in places}
    async with Describer(settings) as describer:
        described = await describer.topics(set(names.values()))
    return {
        place: described[names[place.topic]].id
        for place in places
        if names[place.topic] in described
    }

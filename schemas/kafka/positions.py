"""How far a piece of work has got, kept on Kafka in the transaction that did the work.

`milestream import` and `dead-letters redrive` send records and must neither lose nor double one
when they are killed and started again. So the position goes onto a compacted topic of its own in
the same transaction. A consumer group's offset would serve as well for a while, but the broker
forgets those of an idle group after a week (`offsets.retention.minutes`), and with them that a
file was imported.
"""

from schemas.kafka.single_use import partitions_of_topic, reader
from schemas.settings import Settings
from schemas.topics import positions_topic


async def read_positions(settings: Settings) -> dict[str, bytes]:
    """Return the last committed value of every key.

    Reads up to where the topic ends now, open transactions included: a record that was committed
    may lie behind one of another command that is still open, and must not be missed.

    Raises:
        NoSuchTopic: it is missing.
        KafkaConnectionError: no broker answers.
    """
    topic = positions_topic(settings.application_id)
    (partition,) = await partitions_of_topic(settings, settings.topic(topic.name))
    found: dict[str, bytes | None] = {}
    async with reader(settings, "read_uncommitted") as looking:
        end = (await looking.end_offsets([partition]))[partition]
    async with reader(settings, "read_committed") as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    found[record.key.decode("utf-8", "replace")] = record.value
    return {key: value for key, value in found.items() if value is not None}

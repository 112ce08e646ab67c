"""Taking records off topics, as retention does."""

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.settings import Settings


async def remove_before(
    settings: Settings, begins: Mapping[tuple[str, int], int]
) -> Mapping[tuple[str, int], int]:
    """Remove the records before an offset, by (topic without prefix, partition); -1: all. Return
    where the logs begin then."""
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        places = {TopicPartition(settings.topic(t), p): (t, p) for t, p in begins}
        done = await admin.delete_records(
            {place: RecordsToDelete(begins[name]) for place, name in places.items()}
        )
        return {places[place]: int(begin) for place, begin in done.items()}
    finally:
        await admin.close()

"""Which members were forgotten, by the commands that a partition was sent.

Commands are asked, for they stay: the record on ``member-events`` that says it is gone once its
member has come back.
"""

from aiokafka import TopicPartition

from processor.domain.inputs import Record, Refused, as_it_came, as_it_lay_first, read
from processor.recorded import Cursor
from schemas.kafka import consumers
from schemas.kafka.end_offsets import EndOffsets
from schemas.records import ForgetMember
from schemas.settings import Settings
from schemas.topics import FORWARDED, MEMBER_COMMANDS

_MAY_SAY_SO = (b"forget-member", b"\\u")
"""A record that has neither is no such command, however its JSON spells it."""


async def forgotten_members(settings: Settings, partition: int) -> frozenset[str]:
    """Return the ids of the members that records of a partition asked to forget, up to its present
    end, whether that was refused or not.

    Raises:
        KafkaError: the broker does not answer, or gives nothing.
    """
    topics = {settings.topic(name): name for name in (MEMBER_COMMANDS, FORWARDED)}
    places = [TopicPartition(topic, partition) for topic in topics]
    consumer = consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    found = set()
    await consumer.start()
    try:
        async with EndOffsets(settings) as asking:
            ends = await asking.of(places)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        for place in places:
            cursor = Cursor(consumer, place, ends[place])
            while (record := await cursor.next()) is not None:
                member = _forgotten_by(topics[place.topic], partition, record)
                if member is not None:
                    found.add(member)
    finally:
        await consumer.stop()
    return frozenset(found)


def _forgotten_by(topic: str, partition: int, record: Record) -> str | None:
    """Return whom a record asks to forget; None where it does not, or cannot be read."""
    value = record.value or b""
    if not any(sign in value for sign in _MAY_SAY_SO):
        return None
    source = as_it_came(topic, partition, record)
    try:
        item = read(as_it_lay_first(source) if topic == FORWARDED else source)
    except Refused:
        return None
    return item.member_id if isinstance(item.record, ForgetMember) else None

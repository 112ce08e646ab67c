"""Which members were forgotten, as the outputs of a partition say.

``points-events`` is asked, where they stay: the record on ``member-events`` that says it is gone
once its member has come back. A command may have been refused.
"""

import msgspec
from aiokafka import TopicPartition

from processor.recorded import Cursor, committed_reader
from schemas.event_types import POINTS_FORGOTTEN
from schemas.kafka.end_offsets import EndOffsets
from schemas.settings import Settings
from schemas.topics import POINTS_EVENTS


class _Typed(msgspec.Struct, gc=False):
    """Of a CloudEvent, what it says."""

    type: str


_TYPED = msgspec.json.Decoder(_Typed)


async def forgotten_members(settings: Settings, partition: int) -> frozenset[str]:
    """Return the ids of the members that a partition's outputs say were forgotten, up to its
    present end. Whether its inputs say so too is for who folds them.

    Raises:
        KafkaError: the broker does not answer, or gives nothing.
    """
    place = TopicPartition(settings.topic(POINTS_EVENTS), partition)
    found = set()
    async with committed_reader(settings) as consumer:
        async with EndOffsets(settings) as asking:
            ends = await asking.of([place])
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        cursor = Cursor(consumer, place, ends[place])
        while (record := await cursor.next()) is not None:
            if says_forgotten(record.value):
                found.add((record.key or b"").decode())
    return frozenset(found)


def says_forgotten(value: bytes | None) -> bool:
    """Tell whether an output on ``points-events`` says that its member was forgotten."""
    name = POINTS_FORGOTTEN.name
    if value is None or name.encode() not in value:
        return False
    return _TYPED.decode(value).type == name

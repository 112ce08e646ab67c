"""What a topic takes of the broker's disk, asked of the broker."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

from deploy.clients import partitions_of_topic
from schemas.settings import Settings


class _Answer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(
            ("error_code", Int16),
            ("log_dir", String("utf-8")),
            ("topics", Array(
                ("name", String("utf-8")),
                ("partitions", Array(
                    ("partition_index", Int32),
                    ("partition_size", Int64),
                    ("offset_lag", Int64),
                    ("is_future_key", Boolean),
                )),
            )),
        )),
    )  # fmt: skip


class _Question(RequestStruct):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _DescribeLogDirs(Request[_Question]):  # type: ignore[misc]
    """Kafka's DescribeLogDirs, which aiokafka does not have."""

    API_KEY = 35

    def __init__(self, topic: str, partitions: list[int]) -> None:
        self._asked = [(topic, partitions)]

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(self._asked)


async def topic_bytes(settings: Settings, admin: AIOKafkaAdminClient, topic: str) -> int:
    """Return the bytes of a topic's segments (full name), compressed, all replicas together."""
    partitions = [place.partition for place in await partitions_of_topic(settings, topic)]
    size = 0
    for broker in admin._client.cluster.brokers():  # it offers no call that any request fits in
        question = _DescribeLogDirs(topic, partitions)
        answer = await admin._send_request_to_node(broker.nodeId, question)
        for _error, _directory, topics in answer.results:
            size += sum(held[1] for _name, places in topics for held in places)
    return size

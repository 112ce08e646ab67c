"""Asking a cluster about topics: their ids, their leaders and their settings.

aiokafka asks for metadata in a version that has no ids yet, and in a way that lets a broker make a
topic that is not there; so the question is put here in version 10 (Kafka 2.8).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from aiokafka import __version__ as _version
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from schemas.kafka.asking import ask_any
from schemas.settings import Settings

REQUEST_SECONDS = 20
"""A question that is not answered for so long has failed."""

_TOPIC = 2
"""The kind of resource that a topic is, in Kafka's protocol."""


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """One topic: ``id`` is made with it, and is another when it is deleted and made anew."""

    id: UUID
    leaders: Mapping[int, int]
    """By partition, the id of the broker that leads it; negative where none does."""


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        tags: dict[int, bytes] = {}
        asked = [(UUID(int=0), name, tags) for name in self._topics]
        return request_struct_class(asked, False, False, False, tags)


class Describer:
    """Asks a cluster, on a connection of its own. Every question has a deadline."""

    def __init__(self, settings: Settings) -> None:
        self._client = AIOKafkaClient(
            **settings.kafka_options(),
            client_id=f"milestream-describer-{_version}",
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            KafkaConnectionError: there is no broker.
        """
        try:
            await self._client.bootstrap()
        except BaseException:
            await self._client.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicDescription]:
        """Return those of the topics that there are.

        Raises:
            KafkaError: the broker does not answer, or is older than Kafka 2.8.
        """
        answer = (await self._ask(_MetadataRequest(names))).to_object()
        return {
            topic["topic"]: TopicDescription(
                topic["topic_id"], {p["partition"]: p["leader"] for p in topic["partitions"]}
            )
            for topic in answer["topics"]
            if topic["partitions"]
        }

    async def cluster_id(self) -> str:
        """Return the id of the cluster; empty where it has none.

        Raises:
            KafkaError: the broker does not answer, or is older than Kafka 2.8.
        """
        return str((await self._ask(_MetadataRequest(()))).to_object()["cluster_id"] or "")

    async def config(self, names: Iterable[str], setting: str) -> Mapping[str, str]:
        """Return a setting's value by topic, for those topics that the broker tells it of.

        Raises:
            KafkaError: the broker does not answer.
        """
        resources = [(_TOPIC, name, [setting]) for name in names]
        answer = (await self._ask(DescribeConfigsRequest(resources))).to_object()
        return {
            resource["resource_name"]: str(entry["config_value"])
            for resource in answer["resources"]
            if for_code(resource["error_code"]) is NoError
            for entry in resource["config_entries"]
            if entry["config_names"] == setting
        }

    async def _ask(self, request: Any) -> Any:
        try:
            return await ask_any(self._client, request, REQUEST_SECONDS)
        except NotImplementedError as error:
            raise KafkaError("the broker is older than Kafka 2.8") from error

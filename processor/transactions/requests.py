"""The layouts of requests that aiokafka does not have; its connections send them as its own.

A flexible version has compact types, and tagged fields (here always empty) at the end of every
structure. The versions are those of KIP-890: Produce 12 adds its partitions to the transaction
itself, EndTxn 5 answers with the epoch of the next transaction.
"""

# mypy: disable-error-code="misc"
# aiokafka has no types to derive from.

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.transaction import EndTxnRequest_v0, InitProducerIdRequest_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from typing_extensions import override

_TEXT = CompactString("utf-8")
_TAGS: tuple[str, Any] = ("tags", TaggedFields)
_NO_TAGS: dict[int, bytes] = {}
_PRODUCER: tuple[tuple[str, Any], ...] = (("producer_id", Int64), ("producer_epoch", Int16))
_FINALIZED_FEATURES = 2
"""The tag of what the whole cluster agreed upon, in an answer to ApiVersions."""

Batches = Mapping[str, Mapping[int, bytes]]
"""By topic and partition, a record batch."""


class InitProducerIdResponseV4(Response):
    """As version 0."""

    API_KEY, API_VERSION = 22, 4
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16), *_PRODUCER, _TAGS)


class InitProducerIdRequestV4(RequestStruct):
    """Tells a producer that is fenced from one whose epoch is invalid."""

    API_KEY, API_VERSION = 22, 4
    RESPONSE_TYPE = InitProducerIdResponseV4
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("transactional_id", _TEXT), ("transaction_timeout_ms", Int32), *_PRODUCER, _TAGS
    )


class InitProducerId(Request[InitProducerIdRequest_v0 | InitProducerIdRequestV4]):
    """Take a transactional id: its open transaction is aborted, its earlier producer fenced.

    The answer has ``error_code``, ``producer_id`` and ``producer_epoch``.
    """

    API_KEY = 22

    def __init__(self, transactional_id: str, timeout_ms: int) -> None:
        self._fields = (transactional_id, timeout_ms)

    @override
    def build(self, request_struct_class: type[Any]) -> Any:
        if request_struct_class is InitProducerIdRequest_v0:
            return request_struct_class(*self._fields)
        return request_struct_class(*self._fields, -1, -1, _NO_TAGS)


class EndTxnResponseV5(Response):
    """Has the id and the epoch of the producer's next transaction."""

    API_KEY, API_VERSION = 26, 5
    SCHEMA = Schema(("throttle_time_ms", Int32), ("error_code", Int16), *_PRODUCER, _TAGS)


class EndTxnRequestV5(RequestStruct):
    """Asks for a new epoch with the end of the transaction."""

    API_KEY, API_VERSION = 26, 5
    RESPONSE_TYPE = EndTxnResponseV5
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(("transactional_id", _TEXT), *_PRODUCER, ("transaction_result", Boolean), _TAGS)


class Commit(Request[EndTxnRequest_v0]):
    """Commit the open transaction (EndTxn 0); the answer has ``error_code``."""

    API_KEY = 26

    def __init__(self, transactional_id: str, producer_id: int, epoch: int) -> None:
        self._fields = (transactional_id, producer_id, epoch, True)

    @override
    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields)


class CommitAndRenew(Request[EndTxnRequestV5]):
    """Commit the open transaction (EndTxn 5); the answer has also ``producer_id`` and
    ``producer_epoch`` of the next one."""

    API_KEY = 26

    def __init__(self, transactional_id: str, producer_id: int, epoch: int) -> None:
        self._fields = (transactional_id, producer_id, epoch, True)

    @override
    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class(*self._fields, _NO_TAGS)


class ProduceResponseV12(Response):
    """By topic and partition, an error code and the offset of the first record."""

    API_KEY, API_VERSION = 0, 12
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("offset", Int64),
                        ("timestamp", Int64),
                        ("log_start_offset", Int64),
                        (
                            "record_errors",
                            CompactArray(("batch_index", Int32), ("message", _TEXT), _TAGS),
                        ),
                        ("error_message", _TEXT),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("throttle_time_ms", Int32),
        _TAGS,
    )


class ProduceRequestV12(RequestStruct):
    """Adds its partitions to the producer's transaction, and begins it."""

    API_KEY, API_VERSION = 0, 12
    RESPONSE_TYPE = ProduceResponseV12
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout", Int32),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(("partition", Int32), ("records", CompactBytes), _TAGS),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class ProduceInTransaction(Request[ProduceRequestV12]):
    """Write batches, acknowledged by all replicas, in a transaction that begins with them."""

    API_KEY = 0

    def __init__(self, transactional_id: str, timeout_ms: int, batches: Batches) -> None:
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._batches = batches

    @override
    def build(self, request_struct_class: type[Any]) -> Any:
        topics = [
            (
                topic,
                [(partition, batch, _NO_TAGS) for partition, batch in batches.items()],
                _NO_TAGS,
            )
            for topic, batches in self._batches.items()
        ]
        return request_struct_class(self._transactional_id, -1, self._timeout_ms, topics, _NO_TAGS)


class ApiVersionsResponseV3(Response):
    """What the broker can do, and in the tags what the cluster agreed upon."""

    API_KEY, API_VERSION = 18, 3
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(("api_key", Int16), ("min_version", Int16), ("max_version", Int16), _TAGS),
        ),
        ("throttle_time_ms", Int32),
        _TAGS,
    )

    def finalized(self, feature: str) -> int:
        """Return the version of a feature that the whole cluster agreed upon; 0 where it is
        none."""
        tags: dict[int, bytes] = self.__dict__["tags"]
        if _FINALIZED_FEATURES not in tags:
            return 0
        found = _FEATURES.decode(BytesIO(tags[_FINALIZED_FEATURES])) or []
        return next((most for name, most, *_ in found if name == feature), 0)

    def newest(self, api_key: int) -> int:
        """Return the newest version of a request that the broker takes; -1 where it takes none."""
        known: list[tuple[int, int, int, Any]] = self.__dict__["api_versions"]
        return next((most for key, _, most, _ in known if key == api_key), -1)


_FEATURES = CompactArray(("name", _TEXT), ("max_version", Int16), ("min_version", Int16), _TAGS)


class ApiVersionsRequestV3(RequestStruct):
    """Names the client. Its answer has the old header, so that any broker can be asked."""

    API_KEY, API_VERSION = 18, 3
    RESPONSE_TYPE = ApiVersionsResponseV3
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(("client_software_name", _TEXT), ("client_software_version", _TEXT), _TAGS)

    @override
    def parse_response_header(self, read_buffer: BytesIO | bytes) -> ResponseHeader_v0:
        return ResponseHeader_v0.decode(read_buffer)


class ApiVersions(Request[ApiVersionsRequestV3]):
    """Ask a broker what it can do; a broker before Kafka 2.4 is too old for the question."""

    API_KEY = 18

    @override
    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class("milestream", "1", _NO_TAGS)

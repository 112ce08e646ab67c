"""Request/reply over Kafka, by the headers of Spring's ReplyingKafkaTemplate.

``schemas/README.md#request-and-reply`` describes it to those who ask.
"""

from collections.abc import Iterable

import msgspec

REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
CORRELATION_ID = "kafka_correlationId"

Headers = Iterable[tuple[str, bytes | None]]


class ReplyTo(msgspec.Struct, frozen=True):
    """Where an answer is to go."""

    topic: str
    partition: int
    correlation_id: bytes


class Reply(msgspec.Struct):
    """An answer: an HTTP status, and the body that goes with it."""

    status: int
    body: msgspec.Raw


class FieldError(msgspec.Struct):
    """What is wrong with one field."""

    field: str
    message: str


def extended(reply: Reply, name: str, value: bytes) -> Reply:
    """Return an answer whose body, an object, has one member more, the last; ``value`` is JSON."""
    body = bytes(reply.body)[:-1]
    comma = b"" if body.endswith(b"{") else b","
    return Reply(reply.status, msgspec.Raw(b'%s%s"%s":%s}' % (body, comma, name.encode(), value)))


NO_RECORD = msgspec.Raw()
"""Stands for no record: msgspec cannot decode `Raw | None`."""


class Refusal(msgspec.Struct, omit_defaults=True):
    """The body of a refusal: ``code`` is a dead letter's reason, or ``duplicate``."""

    code: str
    message: str
    errors: list[FieldError] = []
    record: msgspec.Raw = NO_RECORD
    asked: int | None = None
    """How many points were asked for, where those ``available`` do not suffice."""
    available: int | None = None
    trace: msgspec.Raw = NO_RECORD
    """The rules that were looked at, where the sender asks for them."""
    dry_run: bool = msgspec.field(name="dryRun", default=False)
    """Whether it would have been refused, and was only tried."""


def duplicate(record: msgspec.Raw = NO_RECORD) -> Reply:
    """Return the answer to a log whose identifier was used; ``record`` is the first answer."""
    body = Refusal(
        code="duplicate",
        message="this uniqueIdentifier was logged before",
        errors=[FieldError("uniqueIdentifier", "was logged before")],
        record=record,
    )
    return Reply(409, msgspec.Raw(msgspec.json.encode(body)))


class MissingReplyTopic(ValueError):
    """Reply headers are there, but incomplete or not to be understood."""


def reply_to(headers: Headers) -> ReplyTo | None:
    """Return where the answer to a record with these headers goes, None where none is wanted.

    Raises:
        MissingReplyTopic: a reply topic is named, but its partition or correlation id is not there
            or is malformed.
    """
    found = {name: value for name, value in headers if name.startswith("kafka_")}
    topic = found.get(REPLY_TOPIC)
    if topic is None:
        return None
    partition = found.get(REPLY_PARTITION)
    correlation_id = found.get(CORRELATION_ID)
    if correlation_id is None or (partition is not None and len(partition) != 4):
        raise MissingReplyTopic("reply headers are incomplete")
    try:
        name = topic.decode()
    except UnicodeDecodeError as error:
        raise MissingReplyTopic("the reply topic is not UTF-8") from error
    return ReplyTo(name, int.from_bytes(partition, "big") if partition else 0, correlation_id)


def headers_for(topic: str, partition: int, correlation_id: bytes) -> list[tuple[str, bytes]]:
    """Return the headers of a request whose answer goes to ``topic``/``partition``."""
    return [
        (REPLY_TOPIC, topic.encode()),
        (REPLY_PARTITION, partition.to_bytes(4, "big")),
        (CORRELATION_ID, correlation_id),
    ]


def correlation_id_of(headers: Headers) -> bytes | None:
    """Return the correlation id of a reply."""
    return next((value for name, value in headers if name == CORRELATION_ID), None)

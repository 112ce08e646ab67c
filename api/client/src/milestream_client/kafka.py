"""What publisher and subscriber share: topics, headers, options of a connection."""

from collections.abc import Sequence

REPLIES = "replies"
DRY_RUNS = "dry-runs"

REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
CORRELATION_ID = "kafka_correlationId"
DRY_RUN = "milestream-dry-run"
WOULD_GO_TO = "milestream-topic"
TRACE = "milestream-trace"
PROJECT = "milestream-project"

Headers = Sequence[tuple[str, bytes]]


def header(headers: Headers, name: str) -> bytes | None:
    """Return a header's value, None where it is not there."""
    return next((value for key, value in headers if key == name), None)

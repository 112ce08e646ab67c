"""Quix Streams, as its own documentation shows it: a StreamingDataFrame with a stateful function.

State in RocksDB with a changelog that Quix makes, JSON by its own (de)serializers (orjson), and
every setting that it recommends left as it comes: a checkpoint each 5 s, idempotent producer. Its
state is kept by the record's key, which is the member. It runs in an environment of its own:
its pins are not this project's.

How far it is, its committed offsets say, once a checkpoint: what it has only processed is not done.
"""

from decimal import Decimal
from typing import Any

from quixstreams import Application, State

from tests.bench.peers.job import Job, output


def run(guarantee: str) -> None:
    """Fold what is there and what comes, until killed.

    Args:
        guarantee: `at-least-once` or `exactly-once`, as Quix calls them.
    """
    job = Job.from_env()
    app = Application(
        broker_address=job.broker,
        consumer_group=f"{job.prefix}quix-{guarantee}",
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        state_dir=job.directory / f"quix-{guarantee}",
        loglevel="WARNING",
    )
    logs = app.topic(job.logs, value_deserializer="json")
    outputs = app.topic(job.outputs, value_serializer="json")
    frame = app.dataframe(logs)
    frame = frame.apply(fold, stateful=True)
    frame = frame.filter(lambda made: made is not None)
    frame.to_topic(outputs)
    app.run()


def fold(log: dict[str, Any], state: State) -> dict[str, Any] | None:
    """Return the output of a log, or None where the log was there before."""
    seen, total = f"seen:{log['challengeId']}:{log['uniqueIdentifier']}", log["challengeId"]
    if state.exists(seen):
        return None
    before = Decimal(state.get(total, "0"))
    after = before + Decimal(str(log["activityValue"]))
    state.set(seen, True)
    state.set(total, str(after))
    return output(log, before, after)

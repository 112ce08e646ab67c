"""Bytewax, as its own documentation shows it: a dataflow of operators, one worker.

Kafka by its operators `kop.input` and `kop.output`, a stateful map by member and challenge, and
snapshots of the state in its SQLite recovery store, at the interval that it comes with (10 s).
Between these the state is in memory only: no other peer keeps it there. It runs in an environment
of its own, as its packages are no part of this project.
"""

from decimal import Decimal
from typing import Any

import orjson
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from tests.bench.peers.job import Job, output, report

Progress = tuple[Decimal, dict[str, bool]]
"""A member's sum for one challenge, and the identities of the logs that are in it."""

_done = 0


def run() -> None:
    """Fold what is there and what comes, until killed."""
    job = Job.from_env()
    recovery = job.directory / "bytewax"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    report(lambda: _done)
    cli_main(build(job), workers_per_process=1, recovery_config=RecoveryConfig(recovery))


def build(job: Job) -> Dataflow:
    """Return the dataflow."""
    flow = Dataflow("bench")
    read = kop.input("read", flow, brokers=[job.broker], topics=[job.logs])
    op.map("crash", read.errs, _crash)
    logs = op.map("decode", read.oks, _decode)
    folded = op.stateful_map("fold", logs, fold)
    encoded = op.filter_map("encode", folded, _encode)
    kop.output("write", encoded, brokers=[job.broker], topic=job.outputs)
    return flow


def fold(progress: Progress | None, log: dict[str, Any]) -> tuple[Progress, Any]:
    """Return the progress after a log, and the output: None where the log was there before."""
    before, seen = progress or (Decimal(0), {})
    identity = log["uniqueIdentifier"]
    if identity in seen:
        return (before, seen), None
    after = before + Decimal(str(log["activityValue"]))
    seen[identity] = True
    return (after, seen), output(log, before, after)


def _crash(error: Any) -> None:
    raise RuntimeError(error)


def _decode(message: KafkaSourceMessage) -> tuple[str, dict[str, Any]]:
    log = orjson.loads(message.value)
    return f"{message.key.decode()}:{log['challengeId']}", log


def _encode(item: tuple[str, dict[str, Any] | None]) -> KafkaSinkMessage | None:
    """Return the message for an output; the last step before it is sent, so it counts too."""
    global _done  # noqa: PLW0603
    _done += 1
    key, made = item
    if made is None:
        return None
    return KafkaSinkMessage(key.partition(":")[0].encode(), orjson.dumps(made))

"""Stock Faust, as its own documentation shows it: an agent, records, tables on RocksDB.

As in its user guide's pages on agents and tables: `async for` over the stream, one event at a time,
`table[key] = …`, `await topic.send(…)`. Sums are decimals, as a shop's must be.
"""

import os
import threading
import time
from decimal import Decimal

import faust

from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.peers import OUTPUTS, Peer, output_padding
from tests.bench.workload import MILESTONES

PEER = Peer(
    name="Faust 0.15, stock agent",
    guarantee="at least once",
    command=("-m", "tests.bench.peers.stock_faust", "worker", "--without-web", "-l", "warn"),
    share=1 / 30,
)


class Owner(faust.Record):
    """Whose log it is."""

    externalId: str  # noqa: N815  (the name on the wire)


class ChallengeLog(faust.Record, serializer="json"):
    """One log."""

    challengeId: str  # noqa: N815
    ownedBy: Owner  # noqa: N815
    activityAt: str  # noqa: N815
    activityId: str  # noqa: N815
    uniqueIdentifier: str  # noqa: N815
    activityValue: float  # noqa: N815


_PADDING = output_padding()
_done = 0


def build() -> faust.App:
    """Return the app: one agent, two tables, one output topic."""
    settings = Settings.from_env(local_stack=False)
    app = faust.App(
        f"{settings.topic_prefix}stock-faust",
        broker=f"kafka://{settings.kafka}",
        store="rocksdb://",
        datadir=os.environ["BENCH_DIR"],
        topic_partitions=settings.partitions,
        topic_replication_factor=1,
        stream_wait_empty=False,
    )
    logs = app.topic(settings.topic(CHALLENGE_LOGS), key_type=str, value_type=ChallengeLog)
    progress = app.Table("progress", default=str, partitions=settings.partitions)
    seen = app.Table("seen", default=bool, partitions=settings.partitions)
    outputs = app.topic(settings.topic(OUTPUTS))

    @app.agent(logs)
    async def fold(stream: faust.StreamT[ChallengeLog]) -> None:
        global _done  # noqa: PLW0603
        async for member, log in stream.items():
            identity = f"{log.challengeId}:{member}:{log.uniqueIdentifier}"
            if not seen[identity]:
                seen[identity] = True
                key = f"{log.challengeId}:{member}"
                before = Decimal(progress[key] or 0)
                total = before + Decimal(str(log.activityValue))
                progress[key] = str(total)
                reached = [name for name, at in MILESTONES.items() if before < at <= total]
                output = {
                    "id": identity, "member": member, "progress": str(total), "reached": reached,
                    "padding": _PADDING,
                }  # fmt: skip
                await outputs.send(key=member, value=output)
            _done += 1

    return app


def _report() -> None:
    while True:
        os.write(1, b"%d\n" % _done)  # a Faust worker logs what is printed
        time.sleep(0.2)


if __name__ == "__main__":
    threading.Thread(target=_report, daemon=True).start()
    build().main()

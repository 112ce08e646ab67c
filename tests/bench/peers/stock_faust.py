"""Stock Faust, as its own documentation shows it: an agent, records, tables on RocksDB.

As in its user guide's pages on agents and tables: `async for` over the stream, one event at a time,
`table[key] = …`, `await topic.send(…)`. It does what Milestream does with these logs, the way a
user of Faust would write it: sums a member's month exactly, drops duplicates for ever, and says
what happened as CloudEvents with deterministic ids: the log with the progress after it and the
challenge that it counts for, a member on first sight, completion, milestones and rewards.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import faust

from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.peers import OUTPUTS, Peer
from tests.bench.workload import TARGET, challenge_fields, milestone_fields

PEER = Peer(
    name="Faust 0.15, stock agent",
    guarantee="at least once",
    command=("-m", "tests.bench.peers.stock_faust", "worker", "--without-web", "-l", "warn"),
    share=1 / 20,
)

NS = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")


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


_done = 0


def identifier(*parts: str) -> str:
    """Return an id that comes from what it names."""
    return str(uuid.uuid5(NS, ":".join(("default", *parts))))


def event(kind: str, id_: str, member: str, log: ChallengeLog, data: Any) -> dict[str, Any]:
    """Return a CloudEvent."""
    return {
        "specversion": "1.0", "id": id_, "source": "/milestream/default", "type": kind,
        "subject": member, "time": log.activityAt, "datacontenttype": "application/json",
        "data": data,
    }  # fmt: skip


def events(
    log: ChallengeLog, log_id: str, member: str, before: Decimal, after: Decimal
) -> Iterator[dict[str, Any]]:
    """Say what a log led to."""
    period = f"{datetime.fromisoformat(log.activityAt):%Y-%m}"
    milestones = milestone_fields(log.challengeId)
    reached = [m for m in milestones if before < m["milestoneTargetValue"] <= after]
    coming = [m for m in milestones if m["milestoneTargetValue"] > after]
    progress = {
        "id": identifier("challenge_progress", log.challengeId, member, period),
        "challengeId": log.challengeId, "ownedById": member, "periodKey": period,
        "currentProgressValue": str(after),
        "challengeProgressStatus": "completed" if after >= TARGET else "in_progress",
    }  # fmt: skip
    rewards = [
        {
            "id": identifier("reward_log", m["id"], member, period), "ownedById": member,
            "milestoneId": m["id"], "periodKey": period, "milestone": m,
        }
        for m in reached
    ]  # fmt: skip
    yield event("challenge_log.recorded", log_id, member, log, {
        "id": log_id, "challengeId": log.challengeId, "ownedById": member,
        "activityAt": log.activityAt, "activityId": log.activityId,
        "uniqueIdentifier": log.uniqueIdentifier, "activityValue": log.activityValue,
        "challenge": challenge_fields(log.challengeId), "challengeProgress": progress,
        "achievedMilestones": reached, "achievedMilestoneRewardLogs": rewards,
        "nextMilestone": coming[0] if coming else None,
    })  # fmt: skip
    if before < TARGET <= after:
        done = identifier("challenge.completed", progress["id"])
        yield event("challenge.completed", done, member, log, progress)
    for milestone, reward in zip(reached, rewards, strict=True):
        met = identifier("milestone.reached", milestone["id"], member, period)
        yield event("milestone.reached", met, member, log, milestone)
        given = identifier("reward.granted", reward["id"])
        yield event("reward.granted", given, member, log, reward)


def build() -> faust.App:
    """Return the app: one agent, three tables, one output topic."""
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
    members = app.Table("members", default=bool, partitions=settings.partitions)
    seen = app.Table("seen", default=bool, partitions=settings.partitions)
    outputs = app.topic(settings.topic(OUTPUTS))

    @app.agent(logs)
    async def fold(stream: faust.StreamT[ChallengeLog]) -> None:
        global _done  # noqa: PLW0603
        async for log in stream:
            member = identifier("member", log.ownedBy.externalId)
            log_id = identifier("challenge_log", log.challengeId, member, log.uniqueIdentifier)
            if not seen[log_id]:
                seen[log_id] = True
                if not members[member]:
                    members[member] = True
                    first = event("member.upserted", member, member, log, log.ownedBy.asdict())
                    await outputs.send(key=member, value=first)
                key = f"{log.challengeId}:{member}:{log.activityAt[:7]}"
                before = Decimal(progress[key] or 0)
                after = before + Decimal(str(log.activityValue))
                progress[key] = str(after)
                for output in events(log, log_id, member, before, after):
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

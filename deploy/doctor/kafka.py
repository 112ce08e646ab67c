"""Looks at the cluster: brokers, topics and their settings, transactions, workers, their lag."""

import time

from aiokafka import TopicPartition

from deploy import topics_create
from deploy.clients import admin_client, reader
from deploy.doctor.findings import Finding, ill, lag, well
from deploy.lag import behind, ends_of, folded
from processor.transactions.brokers import Brokers
from schemas.kafka.asking import AdminClient
from schemas.settings import Settings, variable
from schemas.topics import INPUT_TOPICS, TICKS

STILL_SECONDS = 90
"""Workers write a tick onto each of their partitions at least once a minute."""


async def brokers(settings: Settings) -> Finding:
    """Look whether enough brokers answer for the replicas that topics are made with."""
    async with admin_client(settings) as admin:
        cluster = await admin.describe_cluster()
    count, wanted = len(cluster["brokers"]), settings.replication_factor
    found = f"{count} at {settings.kafka}"
    if count < wanted:
        return ill(
            "brokers",
            f"{found}, and topics have {wanted} replicas",
            f"start the others, or lower {variable('replication_factor')}",
        )
    return well("brokers", found)


async def topics(settings: Settings) -> Finding:
    """Look whether every topic is there, with its partitions."""
    states = await topics_create.topic_states(settings)
    wrong = [
        f"{state.name} "
        + ("is missing" if state.partitions is None else f"has {state.partitions} partitions")
        for state in states
        if state.partitions != state.wanted
    ]
    if wrong:
        advice = "run `milestream topics create`; partition counts cannot change, so set "
        advice += f"{variable('partitions')} to what is there"
        return ill("topics", "; ".join(wrong), advice)
    return well("topics", f"{len(states)}, those of members with {settings.partitions} partitions")


async def topic_settings(settings: Settings) -> Finding:
    """Look whether the topics have leaders, and the catalogue's configuration."""
    async with admin_client(settings) as admin:
        states = await topics_create.states(admin, settings)
        wrong = await _unled(admin, [state.name for state in states])
        wrong += [
            f"{name} has another {key}"
            for name, keys in (await topics_create.drifted(admin, states)).items()
            for key in keys
        ]
    if wrong:
        advice = "run `milestream topics create`; leaders come back with their brokers"
        return ill("topic settings", "; ".join(wrong), advice)
    return well("topic settings", "as they should be")


async def _unled(admin: AdminClient, names: list[str]) -> list[str]:
    described = await admin.describe_topics(names)
    return [
        f"{entry['topic']} has no leader for partition {partition['partition']}"
        for entry in described
        for partition in entry["partitions"]
        if partition["leader"] < 0
    ]


async def transactions(settings: Settings) -> Finding:
    """Look whether the cluster has transactions of two requests."""
    asked = Brokers(settings, "milestream-doctor")
    try:
        await asked.connect()
        fast = await asked.have_kip_890()
    finally:
        await asked.close()
    if fast:
        return well("transactions", "of two requests (transaction.version 2)")
    return well(
        "transactions",
        "of three requests: Kafka 4 with transaction.version 2 needs two, and is faster",
    )


async def workers(settings: Settings) -> Finding:
    """Look whether ticks come on every partition: each has a worker then."""
    places = [
        TopicPartition(settings.topic(TICKS), partition) for partition in range(settings.partitions)
    ]
    since = int((time.time() - STILL_SECONDS) * 1000)
    async with reader(settings, "read_uncommitted") as consumer:
        found = await consumer.offsets_for_times(dict.fromkeys(places, since))
    still = [place.partition for place in places if found[place] is None]
    if still:
        return ill(
            "workers",
            f"no tick for {STILL_SECONDS} s on partitions {', '.join(map(str, still))}",
            "start `milestream worker`, or read the log of the one that should fold them; kill it "
            "if it hangs",
        )
    return well("workers", f"each of {len(places)} partitions is folded")


async def worker_lag(settings: Settings) -> Finding:
    """Look how many input records are not folded yet."""
    ends = await ends_of(settings, INPUT_TOPICS)
    async with admin_client(settings) as admin:
        reached = await folded(settings, admin, list(ends))
    advice = "wait where it shrinks; else start more workers (at most one a partition)"
    return lag("worker lag", behind(ends, reached), advice)

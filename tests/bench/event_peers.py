"""Peers that fold the events which Milestream folded, with the same work for each.

What that is: a duplicate is dropped; conditions, then the limit, then points and the balance; one
challenge fed, with milestones, rewards, and points on completion. Outputs are of the same kinds, on
as many topics, padded to the sizes that Milestream's have. What a peer leaves out: definitions that
change, members that must be known, replies, dead letters, deterministic ids.
"""

import json
from collections.abc import Sequence

from aiokafka.admin import NewTopic

from deploy.clients import admin_client
from schemas.settings import Settings
from schemas.topics import EVENTS
from tests.bench.findings import Finding
from tests.bench.measure import Timing, output_bytes, time_peer
from tests.bench.peers import (
    EVENT_MODULES,
    EVENT_OUTPUT_BYTES,
    Peer,
    PeerUnavailable,
    event_output_topic,
    peer,
)

AT_LEAST = 1.3
"""How much faster than Kafka Streams Milestream is to fold events."""


async def make_topics(settings: Settings) -> None:
    """Make the topics that stand for Milestream's."""
    async with admin_client(settings) as admin:
        await admin.create_topics(
            [
                NewTopic(
                    settings.topic(event_output_topic(topic)),
                    settings.partitions,
                    settings.replication_factor,
                )
                for topic in EVENT_OUTPUT_BYTES
            ]
        )


async def time_event_peers(
    settings: Settings, records: int, environment: dict[str, str], own: Timing
) -> Sequence[Finding]:
    """Have each peer fold the events of a topic, with `own` the time that Milestream took.

    Raises:
        PeerFailed: one does not get there.
    """
    sizes = {topic: await output_bytes(settings, topic) for topic in EVENT_OUTPUT_BYTES}
    given = {topic: size for topic, size in sizes.items() if size}
    environment = {**environment, "BENCH_EVENT_OUTPUT_BYTES": json.dumps(given)}
    await make_topics(settings)
    found = []
    for measured in map(peer, EVENT_MODULES):
        try:
            if measured.prepare is not None:
                measured.prepare()
        except PeerUnavailable as error:
            found.append(Finding("events, one worker", _said(own), note=f"no peer: {error}"))
            continue
        timing = await time_peer(settings, measured, records, environment, EVENTS)
        found.append(_finding(measured, own, timing, given))
    return found


def _finding(measured: Peer, own: Timing, timing: Timing, sizes: dict[str, int]) -> Finding:
    return Finding(
        "events, one worker",
        _said(own),
        f"{measured.name.removesuffix(': events')}, the same work: {_said(timing)}",
        own.rate / timing.rate,
        AT_LEAST,
        {
            "eventsPerSecond": own.rate,
            "cpuMicros": own.cpu_micros,
            "peerEventsPerSecond": timing.rate,
            "peerCpuMicros": timing.cpu_micros,
            **{f"bytesOf.{topic}": size for topic, size in sizes.items()},
        },
    )


def _said(timing: Timing) -> str:
    micros = timing.cpu_micros
    each = f", {micros:.0f} µs, {1e6 / micros:,.0f} a core-second" if micros else ""
    return f"{timing.rate:,.0f}/s{each}"

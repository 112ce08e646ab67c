"""The peers: whoever folds the same input, each in a process of its own.

A peer is a module with a `PEER`; the list below is the order in which they run. A process tells
how many inputs it is done with, by what it commits (`chunk_log`, `commits`) or by printing the
number as a line on stdout, several times a second. Each does the same work:

- reads `challenge-logs` from its beginning, 4 partitions;
- keeps each member's sums, and every log's identity, in RocksDB with a changelog on Kafka;
- drops duplicates; finds the milestones that a log crosses;
- writes one output a log, as large as Milestream's (`BENCH_OUTPUT_BYTES`), to `OUTPUTS`.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

OUTPUTS = "bench-outputs"
CHANGELOG = "bench-changelog"
"""Topics for peers that do not make their own; names without the settings' prefix."""
FAUST_CHANGELOGS = tuple(
    f"stock-faust-{table}-changelog" for table in ("progress", "members", "seen")
)
"""Stock Faust makes these itself, but its agent crashes where their metadata comes late."""

MODULES = (
    "milestream",
    "stock_faust",
    "quix_at_least_once",
    "quix_exactly_once",
    "bytewax",
    "kafka_streams.at_least_once",
    "kafka_streams.at_least_once_cached",
    "kafka_streams.exactly_once",
    "kafka_streams.exactly_once_cached",
    "plain_loop",
)

EVENT_MODULES = ("kafka_streams.events_exactly_once",)
"""Peers that fold events, with all that Milestream does for one; see `tests.bench.event_peers`."""

EVENT_OUTPUT_BYTES: Mapping[str, int] = {
    "event-results": 800,
    "points-events": 700,
    "progress-events": 2000,
    "milestone-events": 900,
    "reward-events": 1000,
}
"""The topics that an event's outputs go to, and how large each is about where nobody measured."""
_OWN_BYTES: Mapping[str, int] = {
    "event-results": 480,
    "points-events": 290,
    "progress-events": 230,
    "milestone-events": 190,
    "reward-events": 190,
}
"""What a peer's output has without its padding, about."""

MILESTONES: Mapping[int, int] = {1: 200, 2: 400, 3: 800}
"""Targets of each challenge's milestones, the same for all three. A member has some five logs of 45
on average for a challenge, so that about one log in eight reaches a milestone."""


class PeerUnavailable(Exception):
    """What a peer needs cannot be had here; the message says why. It is left out of the table."""


@dataclass(frozen=True)
class Peer:
    """Who folds.

    Attributes:
        name: as it stands in the table.
        guarantee: what happens to a record when the process is killed.
        command: what to run; arguments of `python`.
        share: of the input that is enough to time it.
        chunk_log: the chunk log says how far it is.
        commits: the committed offsets of its group say how far it is; else it prints that itself.
        group: the group's name without the settings' prefix, where it is not the application's.
        prepare: fetches what the process needs, if anything, before its time runs. May raise
            PeerUnavailable.
        python: the interpreter, for a peer with an environment of its own.
    """

    name: str
    guarantee: str
    command: Sequence[str]
    share: float = 1.0
    chunk_log: bool = False
    commits: bool = False
    group: str = ""
    prepare: Callable[[], object] | None = None
    python: str = sys.executable


def peer(module: str) -> Peer:
    """Return the peer that a module is."""
    found: Peer = import_module(f"tests.bench.peers.{module}").PEER
    return found


def output_padding() -> str:
    """Return what makes an output as large as Milestream's, some 150 bytes of its own apart."""
    return "x" * max(0, int(os.environ.get("BENCH_OUTPUT_BYTES", "900")) - 150)


def event_output_topic(topic: str) -> str:
    """Return the topic of a peer that stands for one of Milestream's; without the prefix."""
    return f"bench-{topic}"


def event_padding() -> Mapping[str, int]:
    """Return how much makes each output of an event as large as Milestream's, by its topic.

    `BENCH_EVENT_OUTPUT_BYTES` is a JSON object with the sizes that were measured.
    """
    given = json.loads(os.environ.get("BENCH_EVENT_OUTPUT_BYTES", "{}"))
    sizes = {**EVENT_OUTPUT_BYTES, **given}
    return {topic: max(0, sizes[topic] - own) for topic, own in _OWN_BYTES.items()}

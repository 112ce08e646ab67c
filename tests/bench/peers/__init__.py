"""The peers: whoever folds the same input, each in a process of its own.

A peer is a module with a `PEER`; the list below is the order in which they run. A process tells
how many inputs it is done with, either by what it commits (`commits`) or by printing the number as
a line on stdout, several times a second. Each does the same work:

- reads `challenge-logs` from its beginning, 4 partitions;
- keeps each member's sums, and every log's identity, in RocksDB with a changelog on Kafka;
- drops duplicates; finds the milestones that a log crosses;
- writes one output a log, as large as Milestream's (`BENCH_OUTPUT_BYTES`), to `OUTPUTS`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

OUTPUTS = "bench-outputs"
CHANGELOG = "bench-changelog"
"""Topics for peers that do not make their own; names without the settings' prefix."""
FAUST_CHANGELOGS = tuple(
    f"stock-faust-{table}-changelog" for table in ("progress", "members", "seen")
)
"""Stock Faust makes these itself, but its agent crashes where their metadata comes late."""

MODULES = ("milestream", "stock_faust", "plain_loop")


@dataclass(frozen=True)
class Peer:
    """Who folds.

    Attributes:
        name: as it stands in the table.
        guarantee: what happens to a record when the process is killed.
        command: what to run; arguments of `python`.
        share: of the input that is enough to time it.
        commits: the committed offsets of the group that is called like the application say how
            far it is; else it prints that itself.
    """

    name: str
    guarantee: str
    command: Sequence[str]
    share: float = 1.0
    commits: bool = False


def peer(module: str) -> Peer:
    """Return the peer that a module is."""
    found: Peer = import_module(f"tests.bench.peers.{module}").PEER
    return found


def output_padding() -> str:
    """Return what makes an output as large as Milestream's, some 150 bytes of its own apart."""
    return "x" * max(0, int(os.environ.get("BENCH_OUTPUT_BYTES", "900")) - 150)

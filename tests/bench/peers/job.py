"""The work of a peer that has an environment of its own, where this project's packages are not.

The standard library only. What such a peer is told comes from its environment's variables.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from schemas.topics import CHALLENGE_LOGS
from tests.bench.peers import MILESTONES, OUTPUTS, output_padding

_PADDING = output_padding()
_REPORT_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """Where a peer reads and writes.

    Attributes:
        broker: host and port.
        prefix: of whatever name the broker gets to see.
        directory: for the peer's own files.
    """

    broker: str
    prefix: str
    directory: Path

    @classmethod
    def from_env(cls) -> Self:
        """Return what the runner asks for."""
        return cls(
            os.environ["MILESTREAM_KAFKA"],
            os.environ["MILESTREAM_TOPIC_PREFIX"],
            Path(os.environ["BENCH_DIR"]),
        )

    @property
    def logs(self) -> str:
        """The topic to read."""
        return self.prefix + CHALLENGE_LOGS

    @property
    def outputs(self) -> str:
        """The topic to write."""
        return self.prefix + OUTPUTS


def output(log: dict[str, Any], before: Decimal, after: Decimal) -> dict[str, Any]:
    """Return what a log that counts leads to, with its member's sums before and after it."""
    member = log["ownedBy"]["externalId"]
    return {
        "id": f"{member}:{log['challengeId']}:{log['uniqueIdentifier']}",
        "member": member,
        "progress": str(after),
        "reached": [name for name, target in MILESTONES.items() if before < target <= after],
        "padding": _PADDING,
    }


def report(done: Callable[[], int]) -> None:
    """Tell the runner, from now on, how many inputs are done with."""
    threading.Thread(target=_print, args=(done,), daemon=True).start()


def _print(done: Callable[[], int]) -> None:
    while True:
        os.write(1, b"%d\n" % done())  # frameworks have ideas about what is printed
        time.sleep(_REPORT_SECONDS)

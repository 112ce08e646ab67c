"""Bytewax: see `tests.bench.peers.bytewax_dataflow`."""

from pathlib import Path

from tests.bench.peers import Peer
from tests.bench.peers.environments import Environment

_ENVIRONMENT = Environment(Path(__file__).with_name("bytewax.txt"))

PEER = Peer(
    name="Bytewax 0.21, state in memory",
    guarantee="at least once",
    command=("-m", "tests.bench.peers.bytewax"),
    prepare=_ENVIRONMENT.make,
    python=_ENVIRONMENT.python,
)

if __name__ == "__main__":
    from tests.bench.peers.bytewax_dataflow import run  # not there where the runner reads this

    run()

"""Quix Streams with transactions."""

from pathlib import Path

from tests.bench.peers import Peer
from tests.bench.peers.environments import Environment

_ENVIRONMENT = Environment(Path(__file__).with_name("quix.txt"))

PEER = Peer(
    name="Quix Streams 3.28",
    guarantee="exactly once",
    command=("-m", "tests.bench.peers.quix_exactly_once"),
    share=0.7,  # so that the last checkpoint that counts is a full one
    commits=True,
    group="quix-exactly-once",
    prepare=_ENVIRONMENT.make,
    python=_ENVIRONMENT.python,
)

if __name__ == "__main__":
    from tests.bench.peers.quix import run  # not there where the runner reads this

    run("exactly-once")

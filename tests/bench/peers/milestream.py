"""Milestream: one `milestream worker`, with everything it does for its users.

Members, definitions, exact decimals, rewards, CloudEvents, the changelog and the input's offsets,
in one transaction a chunk. Its committed offsets say how far it is.
"""

from tests.bench.peers import Peer

PEER = Peer(
    name="Milestream, one worker",
    guarantee="exactly once",
    command=("-m", "tests.bench.peers.milestream"),
    commits=True,
)

if __name__ == "__main__":
    from processor.worker import main
    from schemas.settings import Settings

    main(Settings.from_env())

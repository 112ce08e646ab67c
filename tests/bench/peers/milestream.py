"""Milestream: one `milestream worker`, with everything it does for its users.

Members, definitions, exact decimals, rewards, CloudEvents, the changelog with the input's offsets,
in one transaction a chunk. Its chunk log says how far it is.
"""

from tests.bench.peers import Peer

PEER = Peer(
    name="Milestream, one worker",
    guarantee="exactly once",
    command=("-m", "tests.bench.peers.milestream"),
    chunk_log=True,
)

if __name__ == "__main__":
    from processor.worker import main
    from schemas.settings import Settings

    main(Settings.from_env())

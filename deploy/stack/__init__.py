"""The local stack: a real Kafka broker and a real PostgreSQL, run from packages.

`LocalServers` starts the two, for tests and for whoever needs nothing more; `deploy.stack.whole`
runs everything, as `milestream up` does.
"""

from deploy.stack.servers import LocalServers

__all__ = ["LocalServers"]

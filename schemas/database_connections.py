"""How long a connection to the database may be without a sign of the other side.

A server that is gone, or a network that is cut, sends nothing that says so. Without these a process
waits as long as its kernel likes: a quarter of an hour where something was sent, for ever where it
waits for an answer.
"""

from typing import TypedDict


class Liveness(TypedDict):
    """Parameters of libpq."""

    connect_timeout: int
    keepalives_idle: int
    keepalives_interval: int
    keepalives_count: int
    tcp_user_timeout: int


LIVENESS: Liveness = {
    "connect_timeout": 10,
    # Asked after 10 s of silence, every 5 s, and given up after three that nobody answered.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # In milliseconds, for what was sent and nobody said to have received.
    "tcp_user_timeout": 25_000,
}

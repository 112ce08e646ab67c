"""All looks, in the order in which one would mend what they find."""

from collections.abc import AsyncIterator, Sequence

from deploy.doctor import database, kafka, machine
from deploy.doctor.findings import Finding, Look, take
from schemas.settings import Settings, variable

_KAFKA = f"look at the brokers, and at {variable('kafka')}"
_DATABASE = f"look at PostgreSQL, and at {variable('database_url')}"
_HERE = "look at this machine"

LOOKS: Sequence[tuple[str, Look, str]] = (
    ("version", machine.version, _HERE),
    ("fast path", machine.compiled, _HERE),
    ("disk", machine.disk, _HERE),
    ("master key", machine.master_key, _HERE),
    ("brokers", kafka.brokers, _KAFKA),
    ("topics", kafka.topics, _KAFKA),
    ("transactions", kafka.transactions, _KAFKA),
    ("database", database.database, _DATABASE),
    ("database login", database.login, _DATABASE),
    ("migrations", database.migrated, _DATABASE),
    ("clock", database.clock, _DATABASE),
    ("workers", kafka.workers, _KAFKA),
    ("worker lag", kafka.worker_lag, _KAFKA),
    ("projection lag", database.projection_lag, _DATABASE),
)
"""Name, look, and the advice where it cannot be taken."""


async def checkup(settings: Settings) -> AsyncIterator[Finding]:
    """Take every look, and yield what each found."""
    for name, look, unreachable in LOOKS:
        yield await take(name, look, settings, unreachable)

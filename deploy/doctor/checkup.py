"""All looks, in the order in which one would mend what they find."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from deploy.doctor import database, kafka, machine
from deploy.doctor.findings import Finding, Look, ill, take
from schemas.settings import Settings, variable

_KAFKA = f"look at the brokers, and at {variable('kafka')}"
_DATABASE = f"look at PostgreSQL, and at {variable('database_url')}"
_HERE = "look at this machine"


@dataclass(frozen=True)
class _Taken:
    """A look, the advice where it cannot be taken, and the one that has to be well before it."""

    name: str
    look: Look
    unreachable: str
    after: str | None = None


LOOKS: Sequence[_Taken] = (
    _Taken("version", machine.version, _HERE),
    _Taken("fast path", machine.compiled, _HERE),
    _Taken("disk", machine.disk, _HERE),
    _Taken("master key", machine.master_key, _HERE),
    _Taken("brokers", kafka.brokers, _KAFKA),
    _Taken("transactions", kafka.transactions, _KAFKA, "brokers"),
    _Taken("topics", kafka.topics, _KAFKA, "brokers"),
    _Taken("topic settings", kafka.topic_settings, _KAFKA, "topics"),
    _Taken("database", database.database, _DATABASE),
    _Taken("database login", database.login, _DATABASE, "database"),
    _Taken("clock", database.clock, _DATABASE, "database"),
    _Taken("migrations", database.migrated, _DATABASE, "database"),
    _Taken("workers", kafka.workers, _KAFKA, "topics"),
    _Taken("worker lag", kafka.worker_lag, _KAFKA, "topics"),
    _Taken("projection lag", database.projection_lag, _DATABASE, "topics"),
)


async def checkup(settings: Settings) -> AsyncIterator[Finding]:
    """Take every look, and yield what each found."""
    well: set[str] = set()
    for each in LOOKS:
        if each.after is not None and each.after not in well:
            yield ill(each.name, "not looked at", f"see {each.after} first")
            continue
        found = await take(each.name, each.look, settings, each.unreachable)
        if found.ok:
            well.add(each.name)
        yield found

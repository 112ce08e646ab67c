"""How fast the projector makes rows of published events, against a bare COPY of the same rows.

A bare COPY is one `COPY … FROM STDIN` a table, on one connection, of the rows that the projector
left, in the order in which they lie, into an empty table of the same definition: same columns, same
indexes, same server. It parses no JSON, looks no key up and keeps no checkpoint. The rows that were
written and then written over (a progress, once a batch) count once, as they do in the COPY.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from aiokafka import TopicPartition
from psycopg import sql

from deploy.clients import reader
from projections.catalogue import PROJECTIONS
from projections.feed import partitions_of
from projections.migrate import migrate
from schemas.settings import Settings
from tests.bench.findings import Finding
from tests.bench.folded import fold_logs
from tests.bench.measure import PeerFailed
from tests.bench.processes import process
from tests.bench.workload import Workload
from tests.stack import FreshSettings

RECORDS = int(os.environ.get("MILESTREAM_BENCH_PROJECTION_RECORDS", "200000"))
WANTED = 0.4
TABLES = (
    "challenge_logs",
    "challenge_progress",
    "milestones_reached",
    "reward_logs",
    "members",
    "pathway_profiles",
)
"""What challenge logs fill, definitions apart."""
_BLOCK_BYTES = 256 * 1024
_SAMPLE_SECONDS = 0.05
_PATIENCE_SECONDS = 600

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Projected:
    """What the projector did between its first commit that was seen and its last.

    The first one holds tens of thousands of records, so there must be several times as many.
    """

    rows: int
    offsets: int
    seconds: float


def measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]:
    """Fold once, project from an empty database, and copy the same rows."""
    settings = fresh()
    workload = Workload(RECORDS)
    asyncio.run(fold_logs(settings, workload, directory))
    ends = asyncio.run(_ends(settings))
    migrate(settings.database_url)
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        projected = _project(settings, connection, ends, directory)
        say(f"  projected {projected.rows:,} rows in {projected.seconds:.1f} s")
        rows = sum(_count(connection, table) for table in TABLES)
        indexed, bare = (_copy_all(connection, indexed=indexed) for indexed in (True, False))
    say(f"  copied {rows:,} rows in {indexed:.1f} s, without indexes in {bare:.1f} s")
    logs = workload.records * projected.offsets / sum(ends.values())
    return [_finding(workload, projected, logs, rows / indexed, rows / bare)]


def _finding(
    workload: Workload, projected: Projected, logs: float, copied: float, bare: float
) -> Finding:
    rate = projected.rows / projected.seconds
    return Finding(
        f"projection, records to rows, {workload.records:,} challenge logs",
        f"{rate:,.0f} rows/s",
        f"a bare COPY of the same rows, {copied:,.0f} rows/s",
        rate / copied,
        WANTED,
        {
            "rowsPerSecond": rate,
            "logsPerSecond": logs / projected.seconds,
            "copyRowsPerSecond": copied,
            "copyWithoutIndexesRowsPerSecond": bare,
        },
        f"{logs / projected.seconds:,.0f} challenge logs/s, one projector, from an empty database "
        f"to caught up, over {len(TABLES)} tables. The COPY fills tables of the same definition, "
        f"indexes included; without any index it makes {bare:,.0f} rows/s "
        f"({rate / bare:.2f}x).",
    )


def _project(
    settings: Settings, connection: Connection, ends: dict[str, int], directory: Path
) -> Projected:
    """Run a projector from an empty database until it is caught up."""
    goal = sum(ends.values())
    with process(settings, "projector", directory) as projector:
        begun = time.perf_counter()
        first: tuple[int, int, float] | None = None
        while projector.poll() is None and time.perf_counter() - begun < _PATIENCE_SECONDS:
            done, at = _done(connection), time.perf_counter()
            if done and first is None:
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    done, at = _done(connection), time.perf_counter()
                    first = done, sum(_count(connection, table) for table in TABLES), at
            if done >= goal and first is not None:
                if first[0] >= goal:  # one sample saw it all: then the start counts too
                    first = 0, 0, begun
                rows = sum(_count(connection, table) for table in TABLES)
                return Projected(rows - first[1], done - first[0], at - first[2])
            time.sleep(_SAMPLE_SECONDS)
    log = (directory / "projector.log").read_text("utf-8", "replace")
    raise PeerFailed(f"the projector stopped at {_done(connection):,} of {goal:,}:\n{log[-3000:]}")


def _done(connection: Connection) -> int:
    """Return how many offsets of their topics the tables have, all together."""
    ((done,),) = connection.execute(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM milestream.projection_checkpoints "
        "WHERE projection = ANY(%s)",
        [list(TABLES)],
    ).fetchall()
    assert isinstance(done, int)
    return done


async def _ends(settings: Settings) -> dict[str, int]:
    """Return, for each table, the sum of the ends of its topics' partitions."""
    ends = {}
    async with reader(settings, "read_committed") as consumer:
        for table in TABLES:
            places = [
                TopicPartition(settings.topic(topic), number)
                for topic, number in await partitions_of(settings, PROJECTIONS[table].topics)
            ]
            ends[table] = sum((await consumer.end_offsets(places)).values())
    return ends


def _copy_all(connection: Connection, *, indexed: bool) -> float:
    """Copy the rows of all tables into empty ones; return the seconds that writing took."""
    return sum(_copy(connection, table, indexed=indexed) for table in TABLES)


def _copy(connection: Connection, table: str, *, indexed: bool) -> float:
    source = sql.Identifier("milestream", table)
    target = sql.Identifier("milestream_private", f"{table}_copied")
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} {})").format(
            target, source, sql.SQL("INCLUDING ALL" if indexed else "")
        )
    )
    names = sql.SQL(", ").join(map(sql.Identifier, _written(connection, table)))
    text = bytearray()
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} ({}) TO STDOUT").format(source, names)) as rows:
            for part in rows:
                text += part
        begun = time.perf_counter()
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)) as copy:
            for start in range(0, len(text), _BLOCK_BYTES):
                copy.write(bytes(text[start : start + _BLOCK_BYTES]))
        seconds = time.perf_counter() - begun
    connection.execute(sql.SQL("DROP TABLE {}").format(target))
    return seconds


def _written(connection: Connection, table: str) -> list[str]:
    """Return the columns of a table that it does not make itself."""
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE is_generated = 'NEVER' "
        "AND table_schema = 'milestream' AND table_name = %s ORDER BY ordinal_position",
        [table],
    )
    return [str(name) for (name,) in found]


def _count(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    cursor = connection.execute(
        sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("milestream", table))
    )
    ((rows,),) = cursor.fetchall()
    assert isinstance(rows, int)
    return rows

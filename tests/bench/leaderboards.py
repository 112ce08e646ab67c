"""How soon boards answer where a project has a million members: asked over HTTP, one at a time.

The top 100 of a rolling board and of the month, and a user's rank, which is the places of three
boards with two neighbours on either side. Members and days are made here, scores of them by the
projection's own statement. Against it: the same top, added up from its days, as boards of some
events or groups are.

Then what boards in order cost whoever writes: the same points are projected without them and with.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import uvloop

from api.queries import leaderboards
from api.queries.leaderboards import Board
from deploy.topics_create import create_topics
from projections.catalogue import PROJECTIONS
from projections.migrate import migrate
from projections.runner import Runner
from schemas.settings import Settings
from schemas.topics import POINTS_EVENTS
from tests.bench import board_rows
from tests.bench.findings import Finding
from tests.bench.http_load import Load, closed_loop, request
from tests.integration.api.serving import PROJECT, served
from tests.integration.projections.driving import writing
from tests.stack import FreshSettings
from tests.unit.projections.events import member_of, points_changed

MEMBERS = int(os.environ.get("MILESTREAM_BENCH_LEADERBOARDS_MEMBERS", "1000000"))
GRANTS = int(os.environ.get("MILESTREAM_BENCH_LEADERBOARDS_GRANTS", "100000"))
SECONDS = float(os.environ.get("MILESTREAM_BENCH_LEADERBOARDS_SECONDS", "20"))
WANTED_MS = 20.0
_WARM_UP_SECONDS = 3.0
_DIFFERENT = 2_000
"""How many members' ranks are asked for."""
_ADDED_UP = 5
"""How often the board is added up from its days."""
_PATIENCE_SECONDS = 600

Say = Callable[[str], None]


def measure(fresh: FreshSettings, directory: Path, say: Say) -> Sequence[Finding]:
    """Make the members, ask, and then project points."""
    with served(fresh, log=directory) as api:
        begun = time.perf_counter()
        board_rows.fill(api.settings.database_url, PROJECT, MEMBERS)
        say(f"  made the boards of {MEMBERS:,} members in {time.perf_counter() - begun:.0f} s")
        key = asyncio.run(api.key())
        headers = {"x-api-key": key.key_id, "x-api-secret": key.secret}
        slow = asyncio.run(_added_up(api.settings))
        chosen = random.Random(1)
        users = [f"user-{chosen.randrange(MEMBERS)}" for _ in range(_DIFFERENT)]
        questions = {
            "top 100 of 30 days": ["/leaderboard?timeframe=30d&limit=100"],
            "top 100 of the month": ["/leaderboard?limit=100"],
            "a user's rank and neighbours on three boards": [f"/user/{u}/rank" for u in users],
        }
        found = [
            _finding(what, _load(api.settings, headers, paths), slow, say)
            for what, paths in questions.items()
        ]
    return [*found, _writing(fresh, say)]


def _load(settings: Settings, headers: Mapping[str, str], paths: Sequence[str]) -> Load:
    requests = [request("GET", path, headers) for path in paths]
    uvloop.run(closed_loop(settings.api_port, requests, 1, _WARM_UP_SECONDS))
    load = uvloop.run(closed_loop(settings.api_port, requests, 1, SECONDS))
    assert set(load.statuses) == {200}, load.statuses
    return load


def _finding(what: str, load: Load, slow: float, say: Say) -> Finding:
    p50, p99 = load.milliseconds(50), load.milliseconds(99)
    say(f"  {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return Finding(
        f"{what}, {MEMBERS:,} members",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        f"p99 {WANTED_MS:g} ms; 30 days added up, {slow:,.0f} ms",
        WANTED_MS / p99,
        1,
        {"p50_ms": p50, "p99_ms": p99, "added_up_ms": slow},
    )


async def _added_up(settings: Settings) -> float:
    """Return how many milliseconds the top 100 of 30 days takes from its days; the median."""
    today = datetime.now(UTC).date()
    board = Board(PROJECT, today - timedelta(days=29), today)
    took = []
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        top = await leaderboards.top(connection, board, 100)
        for _ in range(_ADDED_UP):
            begun = time.perf_counter()
            assert await leaderboards.added_up(connection, board, top=100) == top
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def _writing(fresh: FreshSettings, say: Say) -> Finding:
    """Project the same points without boards in order, and with them."""
    without = {table: p for table, p in PROJECTIONS.items() if table != "leaderboard_days"}
    settings = fresh(partitions=4)
    create_topics(settings)
    uvloop.run(_publish(settings))
    rates = {}
    for name, projections in (("without", without), ("with", PROJECTIONS)):
        own = settings.model_copy(update={"database_url": fresh().database_url})
        migrate(own.database_url)
        runner = Runner(own, projections=projections, partitions=_partitions(own))
        rates[name] = uvloop.run(_project(own, runner))
        say(f"  projected {rates[name]:,.0f} points/s {name} boards in order")
    return Finding(
        f"points to rows, {GRANTS:,} grants",
        f"{rates['with']:,.0f}/s",
        f"without boards in order, {rates['without']:,.0f}/s",
        rates["with"] / rates["without"],
        values={f"{name}_per_s": rate for name, rate in rates.items()},
    )


def _partitions(settings: Settings) -> list[tuple[str, int]]:
    return [(POINTS_EVENTS, number) for number in range(settings.partitions)]


async def _publish(settings: Settings) -> None:
    """Write grants of 20,000 members, on the days of the last month."""
    chosen, now = random.Random(2), datetime.now(UTC)
    async with writing(settings) as writer:
        for first in range(0, GRANTS, 1000):
            await writer.commit(
                *(
                    points_changed(
                        member_of(chosen.randrange(20_000)),
                        number,
                        chosen.randrange(1, 500),
                        at=now - timedelta(days=chosen.choice((0, 0, 0, 0, 1, 2, 20))),
                    )
                    for number in range(first, min(first + 1000, GRANTS))
                )
            )


async def _project(settings: Settings, runner: Runner) -> float:
    """Return how many grants a second became rows, from the first commit on."""
    running = asyncio.create_task(runner.run())
    samples: list[tuple[float, int]] = []
    async with await psycopg.AsyncConnection.connect(
        settings.database_url, autocommit=True
    ) as connection:
        deadline = time.perf_counter() + _PATIENCE_SECONDS
        while not samples or samples[-1][1] < GRANTS:
            assert time.perf_counter() < deadline, f"stopped at {samples[-1:]} of {GRANTS:,}"
            await asyncio.sleep(0.05)
            cursor = await connection.execute("SELECT count(*) FROM milestream.points_ledger")
            ((rows,),) = await cursor.fetchall()
            if rows and (not samples or rows > samples[-1][1]):
                samples.append((time.perf_counter(), rows))
    runner.stop()
    await running
    (begun, first), (ended, last) = samples[0], samples[-1]
    return (last - first) / (ended - begun) if len(samples) > 1 else float("nan")

"""What a hundred open dashboards cost those who call the API, at 1,000 logs a second.

One worker, one projector, one API; logs arrive on Kafka all the time, and the same requests are
posted over HTTP with and without browsers, in turns, for the machine's own drift is larger than
what is looked for. A browser is a session that asks what the page of what happens now asks, as
often as the answers tell it to.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg
import uvloop
from aiokafka import AIOKafkaProducer

from api.auth import sessions, shared_answers
from schemas.placement import Placement
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.findings import Finding
from tests.bench.http_load import Load, open_loop, request
from tests.bench.http_stack import Stack, running
from tests.bench.workload import Workload, write_logs
from tests.stack import FreshSettings

BROWSERS = 100
LOGS_A_SECOND = 1_000
POSTS_A_SECOND = 40
POLLED, FIRST_SECONDS = "/dashboard/data", 2.0
"""What `api/pages/dashboard/live.js` asks for, and within what time all browsers do so first."""
SLOWER = 1.1
"""How many times as long answers may take with browsers as without."""
_FEED_SECONDS = 0.02
_POST = "/schema/challenge_log/record"

Say = Callable[[str], None]


class _Plan(NamedTuple):
    """Logs a second, turns with and without browsers, and how long each of them lasts."""

    rate: int
    turns: int
    seconds: float
    warm_up: float


def measure(fresh: FreshSettings, directory: Path, say: Say) -> Sequence[Finding]:
    """Post without and with browsers, in turns."""
    plan = _Plan(
        rate=int(os.environ.get("MILESTREAM_BENCH_BROWSERS_RATE", str(LOGS_A_SECOND))),
        turns=int(os.environ.get("MILESTREAM_BENCH_BROWSERS_TURNS", "40")),
        seconds=float(os.environ.get("MILESTREAM_BENCH_BROWSERS_SECONDS", "3")),
        warm_up=float(os.environ.get("MILESTREAM_BENCH_BROWSERS_WARM_UP", "20")),
    )
    pauses = plan.turns * (FIRST_SECONDS + 2 * shared_answers.SECONDS)
    spans = plan.warm_up + 2 * plan.turns * plan.seconds + pauses
    path = directory / "challenge-logs.ndjson"
    write_logs(Workload(int((plan.rate + POSTS_A_SECOND) * (spans + 60)), duplicates=0), path)
    with running(fresh, "worker", "projector", log=directory) as stack, path.open("rb") as logs:
        lines = (line.strip() for line in logs)
        measured = uvloop.run(_turns(stack, lines, plan, say))
    return [_finding(measured, plan)]


async def _turns(
    stack: Stack, lines: Iterator[bytes], plan: _Plan, say: Say
) -> dict[bool, list[Load]]:
    """Return what became of the posts, without (False) and with browsers, turn by turn."""
    polls = [request("GET", POLLED, each) for each in await _signed_in(stack)]
    measured: dict[bool, list[Load]] = {False: [], True: []}
    feeding = asyncio.create_task(_feed(stack.settings, lines, plan.rate))
    try:
        await _post(stack, lines, plan.warm_up, [])
        for turn in range(plan.turns):
            for browsers in (False, True) if turn % 2 == 0 else (True, False):
                load, asked = await _post(stack, lines, plan.seconds, polls if browsers else [])
                measured[browsers].append(load)
                say(f"  {_said(load)}" + (f"; browsers: {_said(asked)}" if asked else ""))
                assert not feeding.done(), "the logs on Kafka have stopped"
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    return measured


async def _signed_in(stack: Stack) -> list[dict[str, str]]:
    """Return the headers of browsers that are signed in."""
    found = []
    async with await psycopg.AsyncConnection.connect(
        stack.settings.database_url, autocommit=True
    ) as connection:
        for _ in range(BROWSERS):
            link = await sessions.make_link(connection, stack.headers["x-api-key"])
            session = await sessions.open_link(connection, link)
            found.append({"cookie": f"{sessions.COOKIE}={session}", sessions.HEADER: "1"})
    return found


async def _post(
    stack: Stack, lines: Iterator[bytes], seconds: float, polls: Sequence[bytes]
) -> tuple[Load, Load | None]:
    """Post for so long while browsers ask; return what became of both."""
    posts = [
        request("POST", _POST, stack.headers, line)
        for line in islice(lines, int(POSTS_A_SECOND * seconds))
    ]
    port = stack.settings.api_port
    if not polls:
        return await open_loop(port, posts, POSTS_A_SECOND), None
    rate = len(polls) / await _paced(port, polls)
    asked = list(islice(cycle(polls), int(rate * seconds)))
    posted, answered = await asyncio.gather(
        open_loop(port, posts, POSTS_A_SECOND), open_loop(port, asked, rate)
    )
    assert answered.statuses == Counter({200: len(asked)}), answered.statuses
    return posted, answered


async def _paced(port: int, polls: Sequence[bytes]) -> float:
    """Have all browsers ask once; return after how many seconds each is to ask again."""
    await open_loop(port, polls, len(polls) / FIRST_SECONDS)
    await asyncio.sleep(shared_answers.SECONDS)  # the next answer is one that counts all
    asked = await open_loop(port, polls[:1], 1)
    return float(json.loads(asked.example)["askAgainSeconds"])


async def _feed(settings: Settings, lines: Iterator[bytes], rate: int) -> None:
    """Send so many logs a second to their members' partitions, until cancelled."""
    placement = Placement(CHALLENGE_LOGS, settings.partitions)
    async with AIOKafkaProducer(**settings.kafka_options(), linger_ms=5) as producer:
        begun, sent = time.perf_counter(), 0
        while True:
            wanted = int((time.perf_counter() - begun) * rate)
            for line in islice(lines, wanted - sent):
                home = placement.place(line)
                topic = settings.topic(CHALLENGE_LOGS)
                await producer.send(topic, line, home.key, partition=home.partition)
            sent = wanted
            await asyncio.sleep(_FEED_SECONDS)


def _said(load: Load) -> str:
    lost = f", {load.lost} lost" if load.lost else ""
    return f"p50 {load.milliseconds(50):.1f} ms, p99 {load.milliseconds(99):.1f} ms{lost}"


def _finding(measured: dict[bool, list[Load]], plan: _Plan) -> Finding:
    values = {
        f"p{percent}_{'with' if browsers else 'without'}_ms": median(
            load.milliseconds(percent) for load in loads
        )
        for browsers, loads in measured.items()
        for percent in (50, 99)
    }
    slower = values["p50_with_ms"] / values["p50_without_ms"]
    complete = all(
        load.statuses[201] == load.planned for loads in measured.values() for load in loads
    )
    good = complete and slower <= SLOWER
    return Finding(
        f"HTTP POST, {POSTS_A_SECOND}/s, beside {BROWSERS} open browsers and {plan.rate:,} logs/s",
        f"p50 {values['p50_with_ms']:.1f} ms, p99 {values['p99_with_ms']:.1f} ms",
        f"without browsers: p50 {values['p50_without_ms']:.1f} ms, "
        f"p99 {values['p99_without_ms']:.1f} ms",
        1 / slower,
        1 / SLOWER,
        values,
        f"medians of turns of {plan.seconds:g} s"
        if good
        else "slower than is wanted, or not complete",
    )

"""Overload: more than ten times what a worker holds, and callers who do not wait for each other.

`MILESTREAM_TEST_OVERLOAD_SECONDS` lets it last longer than its 8 s.
"""

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import httpx
import psutil
import pytest

from processor.context import MAX_OUTSTANDING
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.faults.stack import Servers, Stack
from tests.faults.verifier import unfolded
from tests.integration.processor.driving import (
    CHALLENGE,
    NOW,
    History,
    definitions,
    drain,
    produce,
    wait_folded,
    wait_until,
)
from tests.integration.projections.driving import caught_up, query
from tests.plain_http import NO_TLS

SECONDS = float(os.environ.get("MILESTREAM_TEST_OVERLOAD_SECONDS", "8"))
BACKLOG = 10 * MAX_OUTSTANDING
CALLERS = 48
WAITING = CALLERS // 3
FEW_MAY_WAIT = (
    f"import api.kafka.processor_client; api.kafka.processor_client.MOST_WAITING = {WAITING}"
)
"""What the API sheds above, low enough for the callers of a test: the worker has a backlog before
it, so all of them would wait."""
MOST_BYTES = 900 * 1024 * 1024
"""What a worker may take: its store's caches and buffers (400 MB), Python with all of its packages
(150), what was fetched and is not folded (64 MiB of records, some times as much once decoded), and
what the allocators keep. Without a bound, the backlog of this test alone would pass it."""


@pytest.fixture
def stack(servers: Servers) -> Iterator[Stack]:
    """One worker, a projector and an API."""
    made = Stack(servers, partitions=2, workers=1, api_prepared=FEW_MAY_WAIT)
    try:
        yield made
    finally:
        made.remove()


class Watch:
    """Looks at a process's memory until it is told to end."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        self.most = 0

    def _look(self) -> None:
        while not self._ending.wait(0.2):
            self.most = max(self.most, self._process.memory_info().rss)

    def end(self) -> int:
        """Return the most bytes that it had."""
        self._ending.set()
        self._thread.join()
        return self.most


def logs_until(deadline: float, settings: Settings, history: History) -> None:
    """Write logs as fast as the broker takes them."""
    while time.monotonic() < deadline:
        produce(settings, history.records(5_000, settings), enable_idempotence=True)


async def call_until(
    deadline: float, stack: Stack, key: dict[str, str]
) -> tuple[dict[str, int], set[str]]:
    """Let many callers send logs over HTTP, each as soon as it has its answer.

    Returns the status of each log, by identifier, and which of them were shed before they were sent
    on (any other 503 may have been written all the same).
    """
    found: dict[str, int] = {}
    shed: set[str] = set()
    refused: list[dict[str, str]] = []

    async def call(client: httpx.AsyncClient, caller: int) -> None:
        number = 0
        while time.monotonic() < deadline:
            identifier, number = f"http-{caller}-{number}", number + 1
            log = {
                "challengeId": CHALLENGE, "ownedBy": {"externalId": f"caller-{caller}"},
                "activityAt": NOW, "activityId": "purchase", "uniqueIdentifier": identifier,
                "activityValue": 1,
            }  # fmt: skip
            try:
                answer = await client.post("/schema/challenge_log/record", json=log)
            except httpx.TransportError:
                found[identifier] = 0
                continue
            found[identifier] = answer.status_code
            if answer.status_code in (429, 503):
                if "Too many requests wait" in answer.text:
                    shed.add(identifier)
                refused.append(dict(answer.headers))
                await asyncio.sleep(0.2)

    limits = httpx.Limits(max_connections=CALLERS)
    async with httpx.AsyncClient(
        base_url=stack.api_url, headers=key, timeout=60, limits=limits
    ) as client:
        await asyncio.gather(*(call(client, caller) for caller in range(CALLERS)))
    assert all(int(headers["retry-after"]) > 0 for headers in refused), refused[:1]
    return found, shed


def api_answers(stack: Stack) -> bool:
    """Whether the API is there."""
    try:
        return httpx.get(f"{stack.api_url}/healthz", timeout=5, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def test_what_is_too_much_waits_or_is_refused_and_nothing_is_lost(stack: Stack) -> None:
    settings, history = stack.settings, History(members=2_000, seed=31)
    key = stack.http_key()
    produce(settings, definitions())
    while history.sent < BACKLOG:
        produce(settings, history.records(10_000, settings), enable_idempotence=True)
    stack.start()
    (worker,) = stack.workers
    watch = Watch(worker.process.pid)
    try:
        wait_until(lambda: api_answers(stack), 120, stack.last_words)
        deadline = time.monotonic() + SECONDS
        producing = threading.Thread(target=logs_until, args=(deadline, settings, history))
        producing.start()
        statuses, shed = asyncio.run(call_until(deadline, stack, key))
        producing.join()
        taken = [identifier for identifier, status in statuses.items() if status in (201, 202)]
        wait_folded(settings, history.sent + len(taken), 300)
        wait_until(lambda: unfolded(settings) == 0, 120, stack.last_words)
    finally:
        most = watch.end()
    assert most < MOST_BYTES, f"the worker took {most / 2**20:.0f} MiB"
    assert worker.process.alive, stack.last_words()
    counts = Counter(statuses.values())
    assert set(counts) <= {0, 201, 202, 429, 503}, counts
    assert shed, f"the API shed nothing: {counts}"
    assert taken, f"the API took nothing: {counts}"
    check(settings, taken, shed)


def check(settings: Settings, taken: list[str], shed: set[str]) -> None:
    """Compare the outputs with the inputs on the topic, and the table with the outputs.

    What was taken is there; what was shed was never sent, so that its caller may send it again.
    """
    there = History(members=0, seed=0)
    identifiers = set()
    for record in drain(settings, CHALLENGE_LOGS):
        log = json.loads(record.value, parse_float=Decimal)
        identifiers.add(log["uniqueIdentifier"])
        member, value = log["ownedBy"]["externalId"], str(log["activityValue"])
        there.take(member, log["uniqueIdentifier"], value)
    assert set(taken) <= identifiers
    assert not shed & identifiers
    there.check(settings)
    asyncio.run(caught_up(settings, 300))
    rows = query(settings, "SELECT count(*) FROM milestream.challenge_logs")
    assert rows == [(len(there.seen),)]

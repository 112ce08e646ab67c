"""An API of two processes: what holds for one holds for both, and for one after the other."""

import asyncio
import contextlib
import os
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest
import pytest_asyncio

from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.integration.api.serving import (
    PATIENCE_SECONDS,
    Served,
    process,
    wait_until_ready,
)
from tests.integration.api.test_records_end_to_end import LOGS, challenge, log
from tests.ports import free_port
from tests.stack import FreshSettings


@dataclass(frozen=True)
class Pair(Served):
    """An API of two processes."""

    settings: Settings
    parent: int = 0

    def children(self) -> set[int]:
        """Return the ids of its processes."""
        return {child.pid for child in psutil.Process(self.parent).children()}

    async def of_each(self, stack: contextlib.AsyncExitStack) -> list[httpx.AsyncClient]:
        """Return two clients, each with a connection to another process that it keeps."""
        key = await self.key()
        headers = {"x-api-key": key.key_id, "x-api-secret": key.secret}
        found: dict[int, httpx.AsyncClient] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found) < 2:
            assert time.monotonic() < deadline, "all connections came to one process"
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=self.url,
                    headers=headers,
                    timeout=PATIENCE_SECONDS,
                    limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
                )
            )
            found.setdefault(await self.serving(client), client)
        return list(found.values())

    async def serving(self, client: httpx.AsyncClient) -> int:
        answer = await client.get("/healthz")
        stream = answer.extensions["network_stream"]
        port = stream.get_extra_info("client_addr")[1]
        for pid in self.children():
            peers = [each.raddr for each in psutil.Process(pid).net_connections("tcp")]
            if any(peer[1:] == (port,) for peer in peers):
                return pid
        raise AssertionError("no process has the connection")


@pytest.fixture(scope="module")
def pair(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Such an API with a worker and a projector."""
    settings = lasting_settings.migrated(api_port=free_port(), partitions=2, api_processes=2)
    log_dir = tmp_path_factory.mktemp("processes")
    create_topics(settings)
    with contextlib.ExitStack() as stack:
        for command in ("worker", "projector"):
            stack.enter_context(process(settings, command, log_dir))
        child = stack.enter_context(process(settings, "api", log_dir, patient=True))
        api = Pair(settings, child.pid)
        wait_until_ready(api, log_dir)
        yield api


@pytest_asyncio.fixture
async def both(pair: Pair) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each process, with role admin."""
    async with contextlib.AsyncExitStack() as stack:
        yield await pair.of_each(stack)


async def test_what_one_process_answered_the_other_reads_at_once(
    both: list[httpx.AsyncClient],
) -> None:
    one, other = both
    id_ = await challenge(one, 100)
    for number in range(20):
        body = log(id_, f"order-{number}", activityValue=1)
        answered = await one.post(LOGS, json=body)
        assert answered.status_code == 201
        read = await other.get(f"{LOGS}/{answered.json()['id']}")
        assert (read.status_code, read.json()) == (200, answered.json())
        one, other = other, one


async def test_a_log_sent_to_both_at_once_counts_once(both: list[httpx.AsyncClient]) -> None:
    id_ = await challenge(both[0], 100)
    body = log(id_, "order-1", activityValue=60)
    answers = await asyncio.gather(*(client.post(LOGS, json=body) for client in both * 5))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 9]
    (first,) = (answer.json() for answer in answers if answer.status_code == 201)
    assert all(a.json()["record"] == first for a in answers if a.status_code == 409)


async def test_of_two_changes_of_one_version_one_is_made(both: list[httpx.AsyncClient]) -> None:
    made = await both[0].post("/schema/member/record", json={"externalId": f"m-{uuid.uuid4()}"})
    path = f"/schema/member/record/{made.json()['id']}"
    tag = {"if-match": made.headers["etag"]}
    answers = await asyncio.gather(
        *(
            client.patch(path, json={"firstName": f"Ann {number}"}, headers=tag)
            for number, client in enumerate(both * 3)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    (changed,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert (await both[1].get(path)).json()["firstName"] == changed["firstName"]


async def test_of_definitions_made_at_once_one_is_new(both: list[httpx.AsyncClient]) -> None:
    path = f"/definitions/challenge/{uuid.uuid4()}"
    body = {"name": "Spend", "completionTargetValue": 5, "aggregationPeriod": "monthly"}
    answers = await asyncio.gather(*(client.put(path, json=body) for client in both * 2))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]


async def test_either_tells_the_counts_of_both(both: list[httpx.AsyncClient]) -> None:
    asked = 'milestream_api_requests_total{method="GET",route="/asyncapi",status="200"}'

    async def counted(client: httpx.AsyncClient) -> float:
        found = re.search(re.escape(asked) + r" (\S+)", (await client.get("/metrics")).text)
        return float(found[1]) if found else 0.0

    before = await counted(both[0])
    for client in both:
        await client.get("/asyncapi")
    deadline = time.monotonic() + PATIENCE_SECONDS
    for client in both:
        while (more := await counted(client) - before) < 2:  # counted once it was answered
            assert time.monotonic() < deadline, more
            await asyncio.sleep(0.1)
        assert more == 2


async def test_one_that_is_killed_is_started_again(pair: Pair) -> None:
    before = pair.children()
    async with contextlib.AsyncExitStack() as stack:
        one, _ = await pair.of_each(stack)
        id_ = await challenge(one, 100)
        killed = await pair.serving(one)
        os.kill(killed, signal.SIGKILL)
        async with await pair.client() as client:  # whoever takes its connections, it is answered
            for number in range(20):
                body = log(id_, f"order-{number}", activityValue=1)
                answered = await client.post(LOGS, json=body, headers={"connection": "close"})
                assert answered.status_code == 201
    async with pair.guest() as guest:
        deadline = time.monotonic() + PATIENCE_SECONDS
        # The parent notices it when it comes to it, and starts another a while later.
        while (
            killed in (there := pair.children())
            or len(there) != 2
            or (ready := await guest.get("/readyz")).status_code != 200
        ):
            assert time.monotonic() < deadline, there
            await asyncio.sleep(0.1)
    assert ready.json()["processes"] == {"ok": True}
    assert there - before != set()

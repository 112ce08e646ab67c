"""What operators and tools ask, and what surrounds every request."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from api.kafka import tick_watch
from api.kafka.tick_watch import TickWatch
from api.metrics import Metrics
from deploy.topics_create import create_topics, ensure_topics
from schemas.settings import Settings
from schemas.topics import TICKS
from tests.integration.api.serving import (
    PATIENCE_SECONDS,
    Served,
    process,
    run,
    wait_until_ready,
)
from tests.ports import free_port
from tests.stack import FreshSettings

PUBLIC = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/asyncapi",
    "/asyncapi.json",
    "/schemas",
)


# It fails when the reader knows where it is: before, whoever waits for that waits for 40 s.
FAILING_FETCHER = """
from aiokafka.consumer.fetcher import Fetcher
from tests.ports import free_port
plan = Fetcher._get_actions_per_node
def fail(self, assignment):
    for place in assignment.tps:
        if place.topic.endswith("replies") and assignment.state_value(place).has_valid_position:
            raise ValueError("something new")
    return plan(self, assignment)
Fetcher._get_actions_per_node = fail
"""


def test_an_api_whose_reader_of_replies_has_ended_ends_and_says_so(
    fresh_settings: FreshSettings, tmp_path: Path
) -> None:
    """aiokafka says nothing, and the reader would wait for ever."""
    settings = fresh_settings(api_port=free_port(), partitions=1)
    create_topics(settings)
    with process(settings, "api", tmp_path, prepared=FAILING_FETCHER) as api:
        assert api.wait(PATIENCE_SECONDS) == 1
    log = (tmp_path / "api.log").read_text()
    assert "the API cannot go on: the reader of replies: the fetcher met KafkaError" in log


async def test_everybody_may_ask_how_it_is(full_stack: Served) -> None:
    async with full_stack.guest() as guest:
        for path in PUBLIC:
            answer = await guest.get(path)
            assert path == "/readyz" or answer.status_code == 200, path
            assert answer.headers["x-request-id"]
        async with asyncio.timeout(PATIENCE_SECONDS):  # a busy machine is not ready at times
            while (ready := await guest.get("/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        parts = ("broker", "database", "projection", "workers")
        assert {ready.json()[part]["ok"] for part in parts} == {True}


async def test_without_a_worker_it_is_not_ready(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as guest:
        answer = await guest.get("/readyz")
    assert answer.status_code == 503
    missing = {"ok": False, "reason": "no_worker", "partitions": [0, 1]}
    assert answer.json()["workers"] == missing


async def test_each_partition_needs_a_tick_within_the_bound(
    fresh_settings: FreshSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was before the first look is judged by its timestamp, and later by what comes."""
    settings = fresh_settings(partitions=2)
    await ensure_topics(settings)
    seconds = 0.0
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:

        async def tick(partition: int) -> None:
            await producer.send_and_wait(settings.topic(TICKS), b"{}", partition=partition)

        await tick(1)
        async with watching(settings, lambda: seconds) as watch:
            assert watch.still() == [0]
            await tick(0)
            await watch.look()
            assert watch.still() == []
            seconds = 89
            await tick(1)
            await watch.look()
            seconds = 91
            await watch.look()
            assert watch.still() == [0]
            await tick(0)
            await watch.look()
            assert watch.still() == []
    monkeypatch.setattr(tick_watch, "STILL_SECONDS", -3600.0)  # of then, all are older
    async with watching(settings, lambda: seconds) as watch:
        assert watch.still() == [0, 1]


@contextlib.asynccontextmanager
async def watching(settings: Settings, clock: Callable[[], float]) -> AsyncIterator[TickWatch]:
    watch = TickWatch(settings, Metrics(), clock)
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


async def test_pages_load_nothing_from_elsewhere(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        for path in ("/", "/docs", "/asyncapi"):
            page = await admin.get(path, headers={"accept": "text/html"})
            assert page.headers["content-type"].startswith("text/html")
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "http://" not in page.text
            assert "https://" not in page.text
        data = (await admin.get("/dashboard/data")).json()
        flows = {f"{each}PerSecond" for each in ("logs", "events", "deadLetters")}
        speed = {"lag", "newestAge", "replies", "withoutWorker", "askAgainSeconds"}
        assert set(data) == {"project", *flows, *speed, "milestones", "rewards"}


async def test_metrics_name_routes_and_no_records(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        await admin.get("/schema/member/record/0b9f3c1e-0000-4000-8000-000000000000")
        await admin.get("/nowhere/secret-path")
        text = (await admin.get("/metrics")).text
    assert 'route="/schema/member/record/{id}"' in text
    assert 'route="unmatched"' in text
    assert "0b9f3c1e" not in text
    assert "secret-path" not in text


async def test_a_sane_request_id_is_kept_and_another_replaced(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as guest:
        kept = await guest.get("/healthz", headers={"x-request-id": "trace-1"})
        assert kept.headers["x-request-id"] == "trace-1"
        for insane in ("a b", "x" * 200, "<script>"):
            answer = await guest.get("/healthz", headers={"x-request-id": insane})
            assert answer.headers["x-request-id"] != insane


async def test_what_is_not_there_is_a_problem_document(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        missing = await admin.get("/nowhere")
        assert missing.status_code == 404
        assert missing.json()["code"] == "not_found"
        for method in ("PUT", "PATCH", "DELETE"):
            answer = await admin.request(method, "/schema/challenge_log/record/1", json={})
            assert answer.status_code == 405
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
            assert answer.headers["content-type"] == "application/problem+json"
        answer = await admin.put("/schema/member/record", json={})
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("path", ["/schema/challenge_log/record", "/schema/challenge/record"])
async def test_a_body_may_have_a_mebibyte(api_without_worker: Served, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    async with await api_without_worker.client() as admin:
        assert (await admin.post(path, content=b" " * (1024 * 1024))).status_code == 400
        assert (await admin.post(path, content=b" " * (1024 * 1024 + 1))).status_code == 413
        chunked = await admin.post(path, content=chunks())
        assert chunked.status_code == 413
        assert chunked.json()["code"] == "too_large"


def test_term_ends_the_api_well(api_without_worker: Served, tmp_path: Path) -> None:
    settings = api_without_worker.settings.model_copy(update={"api_port": free_port()})
    with process(settings, "api", tmp_path) as child:
        wait_until_ready(Served(settings), tmp_path, with_worker=False)
        child.terminate()
        assert child.wait(60) == 0
    assert "Traceback" not in (tmp_path / "api.log").read_text()


def test_the_api_says_which_topics_it_misses(fresh_settings: FreshSettings) -> None:
    settings = fresh_settings(api_port=free_port())  # a stack beside has the default one
    refused = run(settings, "api")
    assert refused.returncode == 1
    assert f"{settings.topic_prefix}challenge-logs" in refused.stderr
    assert "milestream topics create" in refused.stderr


async def test_the_doctor_finds_nothing_to_do_on_a_whole_stack(full_stack: Served) -> None:
    """In the end: while a machine is so busy that servers do not answer in time, it says so."""
    found: Any = None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found is None or not found["ok"]:
        assert time.monotonic() < deadline, [each for each in found["checks"] if not each["ok"]]
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from deploy.cli import main; main()", "doctor", "--json"),
            env={**os.environ, **full_stack.settings.to_env()},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(doctor.communicate(), PATIENCE_SECONDS)
        found = json.loads(out)
        assert doctor.returncode == (0 if found["ok"] else 1)

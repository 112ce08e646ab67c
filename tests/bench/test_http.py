"""The benchmarks over HTTP, end to end with next to nothing to do; their figures mean nothing."""

import asyncio
from pathlib import Path

import pytest

from tests.bench import http, queries
from tests.bench.http_load import Load, closed_loop, open_loop, request
from tests.stack import FreshSettings


async def _answering(delay: float, stalled: list[int]) -> asyncio.Server:
    """Serve an answer to each request, one at a time for each connection, after a while.

    At each request, ``stalled`` gets the number of those that wait for their answer then.
    """
    waiting = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        while await reader.readuntil(b"\r\n\r\n"):
            waiting += 1
            stalled.append(waiting)
            await asyncio.sleep(delay)
            waiting -= 1
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(served, "127.0.0.1", 0)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def test_an_open_loop_goes_on_while_the_server_stalls() -> None:
    stalled: list[int] = []
    server = await _answering(0.3, stalled)
    async with server:
        load = await open_loop(_port(server), [request("GET", "/", {})] * 20, 100)
    assert load.lost == 0
    assert load.statuses[201] == 20
    assert max(stalled) > 1, "they waited for each other"
    assert load.milliseconds(50) >= 300


async def test_a_closed_loop_asks_again_and_again() -> None:
    server = await _answering(0.01, [])
    async with server:
        load = await closed_loop(_port(server), [request("GET", "/", {})], 2, 0.5)
    assert 2 < len(load.seconds) <= 2 * load.elapsed / 0.01
    assert load.example == b"{}"


def test_a_percentile_that_was_not_answered_is_infinite() -> None:
    load = Load(planned=100, seconds=[0.01] * 98)
    assert load.lost == 2
    assert load.milliseconds(50) == pytest.approx(10)
    assert load.milliseconds(99) == float("inf")


def test_posts_are_answered_and_read_back(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILESTREAM_BENCH_HTTP_SECONDS", "1")
    monkeypatch.setenv("MILESTREAM_BENCH_HTTP_STEPS", "0")
    monkeypatch.setattr(http, "WARM_UP_SECONDS", 1)
    (found,) = http.measure(fresh_settings, tmp_path, lambda _: None)
    assert found.values["planned"] == 100
    assert found.values["missing"] == 0


def test_reads_are_compared_with_the_statement_alone(
    fresh_settings: FreshSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILESTREAM_BENCH_QUERIES_LOGS", "500")
    monkeypatch.setenv("MILESTREAM_BENCH_QUERIES_MEMBERS", "50")
    monkeypatch.setenv("MILESTREAM_BENCH_QUERIES_SECONDS", "1")
    monkeypatch.setattr(queries, "WARM_UP_SECONDS", 0.3)
    found = queries.measure(fresh_settings, tmp_path, lambda _: None)
    assert [finding.ratio is not None and finding.ratio > 0 for finding in found] == [True] * 4
    assert not any(finding.note for finding in found), "not all were answered 200"

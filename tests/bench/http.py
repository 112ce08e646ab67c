"""`POST` of challenge logs, the answer with all that they led to: how soon, and how many a second.

One worker, one projector, one API. Requests leave at even distances whatever the answers do, and
the time of each runs from the moment that was planned for it. None is lost where each is answered
in full (201), and the read models hold every log and add up to what was sent.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TextIO

import msgspec
import psycopg
import uvloop

from tests.bench.findings import Finding
from tests.bench.http_load import Load, open_loop, request
from tests.bench.http_stack import Stack, running
from tests.bench.workload import Workload, write_logs
from tests.stack import FreshSettings

RATE = 100
MEDIAN_MS, P99_MS = 15.0, 60.0
"""How soon half of all, and all but one in a hundred, are to be answered."""
STEPS = (10, 25, 50, 75, 100, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1000, 1200, 1600, 2000)
WARM_UP_SECONDS = 40
_HOPELESS_MS = 1000.0
_PATIENCE_SECONDS = 60
_POST = "/schema/challenge_log/record"

Say = Callable[[str], None]


def measure(fresh: FreshSettings, directory: Path, say: Say) -> Sequence[Finding]:
    """Post at the rate that is wanted, then at rising rates until one is too much."""
    seconds = float(os.environ.get("MILESTREAM_BENCH_HTTP_SECONDS", "60"))
    step_seconds = float(os.environ.get("MILESTREAM_BENCH_HTTP_STEP_SECONDS", "8"))
    steps = STEPS[: int(os.environ.get("MILESTREAM_BENCH_HTTP_STEPS", str(len(STEPS))))]
    planned = RATE * (WARM_UP_SECONDS + seconds) + sum(steps) * step_seconds
    path = directory / "challenge-logs.ndjson"
    write_logs(Workload(int(planned), duplicates=0), path)
    with running(fresh, "worker", "projector", log=directory) as stack, path.open() as logs:
        poster = _Poster(stack, logs)
        poster.post(RATE, WARM_UP_SECONDS)
        found = [_at_rate(poster, seconds, say)]
        if steps:
            found.append(_highest(poster, steps, step_seconds, say))
    return found


class _Log(msgspec.Struct, rename="camel"):
    """Of a log, what is needed to tell that it was folded once."""

    unique_identifier: str
    activity_value: Decimal


class _Poster:
    """Posts one log after the other, and knows what the read models must hold then."""

    def __init__(self, stack: Stack, logs: TextIO) -> None:
        self.stack = stack
        self._logs = logs
        self._posted: set[str] = set()
        self._sum = Decimal(0)

    def post(self, rate: float, seconds: float) -> tuple[Load, dict[str, float]]:
        """Post for so long; return what became of it, and the milliseconds of CPU of a request.

        Comes back when the projection has come to rest, so that no step suffers by the one before.
        """
        lines = [line.strip().encode() for line in islice(self._logs, int(rate * seconds))]
        messages = [request("POST", _POST, self.stack.headers, line) for line in lines]
        for log in map(msgspec.json.Decoder(_Log).decode, lines):
            self._posted.add(log.unique_identifier)
            self._sum += log.activity_value
        before = self.stack.cpu_seconds()
        load = uvloop.run(open_loop(self.stack.settings.api_port, messages, rate))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.missing() and time.monotonic() < deadline:
            time.sleep(0.1)
        taken = self.stack.cpu_seconds()
        return load, {name: (taken[name] - before[name]) * 1000 / load.planned for name in taken}

    def missing(self) -> int:
        """Return how many logs are not in the read model, or 1 if the progress is not their sum."""
        with psycopg.connect(self.stack.settings.database_url) as connection:
            rows = connection.execute("SELECT unique_identifier FROM milestream.challenge_logs")
            missing = self._posted ^ {identifier for (identifier,) in rows}
            total = connection.execute(
                "SELECT sum(current_progress_value) FROM milestream.challenge_progress"
            ).fetchone()
        return len(missing) or int(total != (self._sum,))


def _at_rate(poster: _Poster, seconds: float, say: Say) -> Finding:
    load, cpu = poster.post(RATE, seconds)
    if _is_complete(load):  # else the first answer may say that it is not told yet
        _check(load.example)
    missing = poster.missing()
    said = f"{_said(load)}, {missing} not read back"
    say(f"  {RATE}/s for {seconds:g} s: {said}")
    say("  CPU of a request, ms: " + ", ".join(f"{name} {ms:.2f}" for name, ms in cpu.items()))
    good = _is_complete(load) and not missing and load.milliseconds(50) <= MEDIAN_MS
    good = good and load.milliseconds(99) <= P99_MS
    return Finding(
        f"HTTP POST with full answer, {RATE}/s for {seconds:g} s",
        said,
        f"p50 {MEDIAN_MS:g} ms, p99 {P99_MS:g} ms, none lost",
        values={
            **_values(load),
            **{f"cpu_{name}_ms": ms for name, ms in cpu.items()},
            "missing": missing,
        },
        note="" if good else "not all were answered, or not as soon as they are to be",
    )


def _highest(poster: _Poster, steps: Sequence[int], seconds: float, say: Say) -> Finding:
    held = answered = 0
    values: dict[str, float] = {}
    for rate in steps:
        load, _ = poster.post(rate, seconds)
        missing = poster.missing()
        say(f"  {rate}/s: {_said(load)}, {missing} not read back")
        values |= {f"{name}_at_{rate}": value for name, value in _values(load).items()}
        if not _is_complete(load) or missing or load.milliseconds(99) > _HOPELESS_MS:
            break
        answered = rate
        if load.milliseconds(99) <= P99_MS:
            held = rate
    return Finding(
        f"HTTP POST with full answer, highest rate with p99 <= {P99_MS:g} ms and none lost",
        f"{held}/s; answers all within {_HOPELESS_MS / 1000:g} s up to {answered}/s",
        f"{RATE}/s",
        held / RATE,
        1,
        {"held": held, "answered": answered, **values},
        f"steps of {seconds:g} s, each from rest; the generator runs on the same cores",
    )


def _is_complete(load: Load) -> bool:
    return load.statuses[201] == load.planned


def _said(load: Load) -> str:
    other = {status: count for status, count in load.statuses.items() if status != 201}
    strange = "".join(f", {count} answered {status}" for status, count in other.items())
    times = ", ".join(f"p{percent} {load.milliseconds(percent):.1f} ms" for percent in (50, 99))
    return f"{times}, {load.lost} lost{strange}"


def _values(load: Load) -> dict[str, float]:
    return {
        "planned": load.planned,
        "answered_201": load.statuses[201],
        **{f"p{percent}_ms": load.milliseconds(percent) for percent in (50, 90, 95, 99)},
        "slowest_ms": max(load.seconds, default=float("inf")) * 1000,
    }


def _check(example: bytes) -> None:
    """Make sure that an answer has what the log led to."""
    fields: Mapping[str, object] = msgspec.json.decode(example)
    assert fields["challenge"], example
    assert fields["challengeProgress"], example
    assert "achievedMilestoneRewardLogs" in fields, example

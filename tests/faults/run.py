"""Running schedules: `python -m tests.faults.run --seeds 1 2 3`, or `make faults SCHEDULES=20`."""

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiokafka.errors import KafkaError

from schemas.settings import Settings
from tests.faults.actions import ACTIONS
from tests.faults.load import Load
from tests.faults.schedule import LOAD_SECONDS, Schedule
from tests.faults.stack import PATIENCE_SECONDS, Servers, Stack, running_servers
from tests.faults.verifier import Verifier, unfolded
from tests.integration.projections.driving import caught_up

logger = logging.getLogger(__name__)

BATCHES = 30
REPORT = Path(".faults") / "report.json"


@dataclass
class Outcome:
    """What a schedule came to."""

    schedule: Schedule
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    """By action, how often it really did what it is for."""
    ends: list[str] = field(default_factory=list)
    """Processes that ended by themselves, with what they said."""
    failure: str | None = None
    phases: dict[str, float] = field(default_factory=dict)
    """By what it was doing, how many seconds it took."""
    _since: float = field(default_factory=time.monotonic)

    def passed(self, phase: str) -> None:
        """Note that a phase is over."""
        now = time.monotonic()
        self.phases[phase], self._since = round(now - self._since, 1), now


def run_schedule(servers: Servers, schedule: Schedule) -> Outcome:
    """Run a schedule and verify what it left."""
    outcome = Outcome(schedule)
    began = time.monotonic()
    servers.heal()
    stack = Stack(servers, partitions=schedule.partitions, workers=schedule.workers)
    outcome.passed("topics and tables")
    try:
        _run(stack, schedule, outcome)
    except AssertionError as error:
        outcome.failure = str(error)
    except Exception as error:
        logger.exception("seed %d", schedule.seed)
        outcome.failure = repr(error)
    finally:
        outcome.happened = stack.happened
        outcome.seconds = round(time.monotonic() - began, 1)
        outcome.ends = [
            f"{process.name}: {code}: {' '.join(words.strip().splitlines()[-1:])[:300]}"
            for process in stack.processes
            for code, words in process.ends
        ]
        outcome.ends += stack.remarks
        for process in stack.processes:
            process.ends.clear()
        if outcome.failure is not None or outcome.ends:
            _keep_logs(stack, schedule.seed)
        stack.remove()
    return outcome


def _keep_logs(stack: Stack, seed: int) -> None:
    """Keep what the processes of a schedule said."""
    kept = REPORT.parent / f"seed-{seed}"
    kept.mkdir(parents=True, exist_ok=True)
    for process in stack.processes:
        if process.log.exists():
            shutil.copy(process.log, kept)


def _run(stack: Stack, schedule: Schedule, outcome: Outcome) -> None:
    load = Load(stack.settings, schedule.seed, LOAD_SECONDS, BATCHES)
    key = stack.http_key()
    stack.start()
    outcome.passed("start")
    load.begin(stack.api_url, key)
    try:
        _act(stack, schedule, outcome)
    finally:
        load.end()
    outcome.passed("load and faults")
    settings = stack.settings
    stack.until(lambda: _left(settings) == 0, lambda: f"{_left(settings)} inputs are not folded")
    outcome.passed("folding the rest")
    stack.until(stack.servers.database.answers, lambda: "the database does not answer")
    _await_tables(stack)
    outcome.passed("tables")
    wrong = stack.end()
    assert not wrong, wrong
    _await_tables_again(stack)
    outcome.passed("end")
    verifier = Verifier(stack, load)
    try:
        verifier.check()
    finally:
        outcome.passed("verifying")
        outcome.counts = verifier.counts
        outcome.kinds["changelog compacted"] = verifier.compacted  # and not the loss after it
        outcome.counts["producers gave up"] = load.failures
        outcome.counts["aborted transactions"] = load.aborted


def _left(settings: Settings) -> int | None:
    """Return how many inputs are not folded; None where the brokers cannot say."""
    try:
        return unfolded(settings)
    except KafkaError:
        return None


def _act(stack: Stack, schedule: Schedule, outcome: Outcome) -> None:
    """Let the faults happen, each at its time, while what died is started again."""
    rng = random.Random(f"actions:{schedule.seed}")
    began = time.monotonic()
    going: list[tuple[float, str, Iterator[float]]] = [
        (began + step.at, step.action, ACTIONS[step.action](stack, random.Random(rng.random())))
        for step in schedule.steps
    ]
    while going or time.monotonic() < began + LOAD_SECONDS:
        stack.look()
        now = time.monotonic()
        left = []
        for at, name, fault in going:
            if at > now:
                left.append((at, name, fault))
                continue
            before = stack.happened.total()
            pause = next(fault, None)
            outcome.kinds[name] += stack.happened.total() > before
            if pause is not None:
                left.append((time.monotonic() + pause, name, fault))
        going = left
        time.sleep(0.02)


def _await_tables(stack: Stack) -> None:
    async def wait() -> None:
        waiting = asyncio.create_task(caught_up(stack.settings, PATIENCE_SECONDS))
        while not waiting.done():
            stack.look()
            await asyncio.wait({waiting}, timeout=0.2)
        await waiting

    asyncio.run(wait())


def _await_tables_again(stack: Stack) -> None:
    """Between the last look and the workers' end, a tick may have ended something."""
    stack.projector.start()
    _await_tables(stack)
    stack.projector.stop()


def report(outcomes: Sequence[Outcome], path: Path) -> str:
    """Write the report as JSON; return it as text."""
    happened: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for outcome in outcomes:
        happened += outcome.happened
        counts += outcome.counts
        kinds += outcome.kinds
    never = [name for name in ACTIONS if not kinds[name]]
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "schedules": len(outcomes),
        "failed": [outcome.schedule.seed for outcome in failed],
        "faults": dict(sorted(happened.items())),
        "kinds": {name: kinds[name] for name in ACTIONS},
        "never": never,
        "compared": dict(sorted(counts.items())),
        "outcomes": [_plain(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(document, indent=2), "utf-8")
    lines = [f"{len(outcomes)} schedules, {len(failed)} failed; the faults that really happened:"]
    lines += [f"  {times:5}  {name}" for name, times in sorted(happened.items())]
    lines += [f"{len(ACTIONS) - len(never)} of {len(ACTIONS)} kinds; never: {', '.join(never)}"]
    lines += ["compared:", *(f"  {times:7}  {name}" for name, times in sorted(counts.items()))]
    lines += [f"replay a failing one: make faults SEED={o.schedule.seed}" for o in failed]
    return "\n".join(lines)


def _plain(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as JSON has it."""
    return {
        "seed": outcome.schedule.seed,
        "schedule": [asdict(step) for step in outcome.schedule.steps],
        "seconds": outcome.seconds,
        "faults": dict(outcome.happened),
        "kinds": dict(outcome.kinds),
        "compared": dict(outcome.counts),
        "phases": outcome.phases,
        "ends": outcome.ends,
        "failure": outcome.failure,
    }


def main(arguments: Sequence[str]) -> int:
    """Run the schedules that the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.faults.run")
    parser.add_argument("--schedules", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--transaction-version", type=int, default=2, help="1: without KIP-890")
    parser.add_argument("--report", type=Path, default=REPORT)
    given = parser.parse_args(arguments)
    first, count = (given.first, given.schedules) if given.seed is None else (given.seed, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave nothing running
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that brokers die is meant
    outcomes: list[Outcome] = []
    features = {"transaction.version": given.transaction_version}
    with running_servers(given.brokers, features) as servers:
        for seed in range(first, first + count):
            schedule = Schedule.of(seed, list(ACTIONS))
            steps = ", ".join(f"{step.at:.1f} {step.action}" for step in schedule.steps)
            print(f"seed {seed}: {steps}", flush=True)
            outcome = run_schedule(servers, schedule)
            outcomes.append(outcome)
            print(f"  {outcome.seconds} s {outcome.phases}, {dict(outcome.happened)}")
            for end in outcome.ends:
                print(f"  ended: {end}")
            if outcome.failure:
                print(f"  FAILED: {outcome.failure}")
            sys.stdout.flush()
            report(outcomes, given.report)
    print(report(outcomes, given.report))
    return 1 if any(outcome.failure for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

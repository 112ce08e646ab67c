"""Time as records: ticks come by themselves, and never before what was there before them.

How soon one comes after the other is tested in virtual time: `tests/unit/processor/test_ticker.py`.
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import ids
from schemas.records import Tick, encode
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, TICKS
from tests.integration.processor.driving import (
    CHALLENGE,
    History,
    Record,
    Worker,
    definition,
    definitions,
    drain,
    log,
    produce,
    values,
    wait_folded,
    wait_until,
)
from tests.integration.processor.test_verify import verify

OTHERS = [name for name in INPUT_TOPICS if name != TICKS]
LOG_APPEND_TIME = 1
FAILED = "milestream.challenge.failed.v1"


def ticking(settings: Settings, seconds: int) -> Settings:
    return settings.model_copy(update={"tick_seconds": seconds})


def folded_ticks(settings: Settings) -> int:
    """Check that no tick was folded before what its ``ends`` name; return how many there were."""
    chunks = [json.loads(r.value) for r in drain(settings, "chunk-log")]
    inputs: dict[tuple[str, int], list[int]] = defaultdict(list)
    for record in drain(settings, *OTHERS):
        topic = record.topic.removeprefix(settings.topic_prefix)
        inputs[topic, record.partition].append(record.offset)
    ends = {(r.partition, r.offset): json.loads(r.value)["ends"] for r in drain(settings, TICKS)}
    folded: dict[tuple[str, int], int] = defaultdict(int)
    ticks = 0
    for chunk in chunks:
        partition = chunk["partition"]
        for span in chunk["inputs"]:
            topic, first, last = span["topic"], span["first"], span["last"]
            if topic == TICKS:
                assert first == folded[TICKS, partition]
                for offset in range(first, last + 1):
                    ticks += 1
                    for name, end in ends[partition, offset].items():
                        before = [o for o in inputs[name, partition] if o < end]
                        assert not before or before[-1] < folded[name, partition]
            folded[topic, partition] = last + 1
    return ticks


def test_a_worker_ticks_on_each_partition_again_and_again(settings: Settings) -> None:
    settings = ticking(settings, 2)
    ticks: Counter[int] = Counter()

    def enough() -> bool:
        ticks.clear()
        for record in drain(settings, TICKS):
            assert record.key is None
            assert record.timestamp_type == LOG_APPEND_TIME
            assert set(json.loads(record.value)["ends"]) == set(OTHERS)
            ticks[record.partition] += 1
        return len(ticks) == settings.partitions and min(ticks.values()) >= 3

    with Worker(settings, "w") as worker:
        worker.ready()
        wait_until(enough, 120, lambda: f"{ticks}\n{worker.text()[-2000:]}")
        wait_until(lambda: folded_ticks(settings) >= 12, 120, lambda: worker.text()[-2000:])


def test_a_tick_never_overtakes_a_backlog(settings: Settings) -> None:
    """Ticks stand there before the worker starts, and more come while it works off the backlog."""
    settings = ticking(settings, 1)
    history = History(members=500, seed=31)
    produce(settings, definitions())
    produce(settings, history.records(40_000, settings))
    ends: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(OTHERS, 0))
    for record in drain(settings, "challenge-logs"):
        ends[record.partition]["challenge-logs"] = record.offset + 1
    ticks: list[Record] = [
        (TICKS, partition, None, encode(Tick(ends=ends[partition])), ())
        for partition in range(settings.partitions)
    ]
    produce(settings, ticks)
    with Worker(settings, "w") as worker:
        worker.ready()
        wait_folded(settings, history.sent, 180, worker)
        wait_until(lambda: folded_ticks(settings) >= len(ticks), 120, lambda: worker.text()[-2000:])
    history.check(settings)


def test_a_tick_passes_what_was_forwarded_and_aborted(settings: Settings) -> None:
    """Markers stand at the end of ``forwarded``: no record is ever handed out for them."""
    settings = ticking(settings, 1)
    history = History(members=100, seed=32)
    produce(settings, definitions())
    spread: list[Record] = [
        (topic, i % settings.partitions, None, value, headers)
        for i, (topic, _, _, value, headers) in enumerate(history.records(1_000, None))
    ]
    with Worker(settings, "w") as worker:
        worker.ready()
        produce(settings, spread)
        wait_until(lambda: history.folded(settings), 120, lambda: worker.text()[-2000:])
        stood = len(drain(settings, TICKS))
        wait_until(
            lambda: folded_ticks(settings) >= stood + 2 * settings.partitions,
            120,
            lambda: worker.text()[-2000:],
        )
    assert drain(settings, "forwarded")
    assert verify(settings).returncode == 0


def test_a_tick_that_claims_more_than_there_is_does_not_stop_time(settings: Settings) -> None:
    with Worker(settings, "w") as worker:
        worker.ready()
        bogus = encode(Tick(ends={"challenge-logs": 10**15, "no-such-topic": 1}))
        produce(settings, [(TICKS, 0, None, bogus, ())])
        history = History(members=10, seed=33)
        produce(settings, [*definitions(), *history.records(100, settings)])
        wait_folded(settings, history.sent, 180, worker)

        def folded() -> bool:
            return _folded_on(settings, 0) == len(
                [r for r in drain(settings, TICKS) if r.partition == 0]
            )

        wait_until(folded, 120, lambda: worker.text()[-2000:])


def _folded_on(settings: Settings, partition: int) -> int:
    chunks: list[Any] = [json.loads(r.value) for r in drain(settings, "chunk-log")]
    spans: list[int] = [
        span["last"]
        for chunk in chunks
        if chunk["partition"] == partition
        for span in chunk["inputs"]
        if span["topic"] == TICKS
    ]
    return max(spans, default=-1) + 1


def overdue(settings: Settings, members: range) -> list[Record]:
    """Return a daily challenge and yesterday's logs, which no member completed it with."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT12:00:00Z")
    daily = definition(
        "challenge", CHALLENGE, name="Walk", aggregationPeriod="daily", completionTargetValue=10
    )
    return [
        daily,
        *(log(f"user-{n}", f"walk-{n}", "4", settings=settings, at=yesterday) for n in members),
    ]


def failures(settings: Settings) -> Counter[str]:
    """Count ``challenge.failed`` by member."""
    events = values(settings, "progress-events")
    return Counter(e["subject"] for e in events if e["type"] == FAILED)


def members_of(numbers: range) -> set[str]:
    return {ids.member_id("default", f"user-{n}") for n in numbers}


def test_what_ended_yesterday_fails_by_a_tick_and_once(settings: Settings) -> None:
    settings = ticking(settings, 2)
    with Worker(settings, "w") as worker:
        worker.ready()
        produce(settings, overdue(settings, range(20)))
        wait_folded(settings, 20, 180, worker)
        wait_until(
            lambda: set(failures(settings)) == members_of(range(20)),
            120,
            lambda: worker.text()[-2000:],
        )
        folded = folded_ticks(settings)
        wait_until(  # what comes next on each partition does nothing again
            lambda: folded_ticks(settings) >= folded + 2 * settings.partitions,
            120,
            lambda: worker.text()[-2000:],
        )
    assert set(failures(settings).values()) == {1}
    event = next(e for e in values(settings, "progress-events") if e["type"] == FAILED)
    assert event["time"].endswith("T00:00:00Z")
    assert event["data"]["challengeProgressStatus"] == "failed"
    assert verify(settings).returncode == 0


def test_many_dues_are_done_one_tick_after_the_other_under_kills(settings: Settings) -> None:
    """More than a tick takes, so the next ones come at once; workers die meanwhile."""
    settings = ticking(settings, 30)
    many = range(12_000)
    produce(settings, overdue(settings, many))
    rng = random.Random(8)
    with Worker(settings, "w") as worker:
        wait_folded(settings, len(many), 180, worker)
        for life in range(4):
            time.sleep(rng.uniform(0.1, 1.2))
            worker.kill()
            if life % 2:
                worker.wipe()  # deletions are restored from the changelog
            worker.start()
            worker.ready(times=life + 1)
        wait_until(lambda: len(failures(settings)) == len(many), 120, lambda: worker.text()[-2000:])
    assert failures(settings) == Counter(members_of(many))
    assert len(drain(settings, TICKS)) > len(many) / 1_000
    found = verify(settings)
    assert found.returncode == 0, found.stderr


def test_ticks_go_on_through_kills_and_a_takeover(settings: Settings) -> None:
    settings = ticking(settings, 1)
    history = History(members=500, seed=34)
    produce(settings, definitions())
    batches = [history.records(2_000, settings) for _ in range(10)]

    def feed() -> None:
        for batch in batches:
            produce(settings, batch)
            time.sleep(0.5)

    feeding = threading.Thread(target=feed)
    rng = random.Random(5)
    with Worker(settings, "a") as killed, Worker(settings, "b") as other:
        killed.ready()
        other.ready()
        feeding.start()
        try:
            for life in range(3):
                time.sleep(rng.uniform(0.2, 1.5))
                killed.kill()
                if life == 1:
                    killed.wipe()
                killed.start()
            time.sleep(1)
            killed.kill()  # for good: the other takes its partitions, and ticks there
        finally:
            feeding.join()
        wait_folded(settings, history.sent, 180, other)
        stood = len(drain(settings, TICKS))
        wait_until(
            lambda: folded_ticks(settings) >= stood + settings.partitions,
            120,
            lambda: other.text()[-2000:],
        )
    history.check(settings)
    found = verify(settings)
    assert found.returncode == 0, found.stderr

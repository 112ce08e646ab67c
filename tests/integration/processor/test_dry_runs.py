"""A dry run is answered once, whatever becomes of the worker; only ``replies`` knows of it."""

from schemas import dry_runs, replies
from schemas.settings import Settings
from schemas.topics import CHUNK_LOG, DRY_RUNS, OUTPUT_TOPICS, REPLIES, TICKS
from tests.integration.processor.driving import (
    Record,
    Worker,
    definitions,
    drain,
    log,
    produce,
    values,
    wait_until,
)

NONE_IS_LATE = "import processor.dry_runs; processor.dry_runs.ANSWER_SECONDS = 600"


def trial(settings: Settings, number: int) -> Record:
    """Return a dry run of a log of Ann's that asks for an answer."""
    headers = (
        *dry_runs.headers_for("challenge-logs"),
        *replies.headers_for(settings.topic(REPLIES), 0, b"%d" % number),
    )
    _, partition, key, value, _ = log("ann", f"log-{number}", "60", settings=settings)
    return (DRY_RUNS, partition, key, value, headers)


def answered(settings: Settings) -> list[bytes | None]:
    """Return which requests were answered, in order."""
    return [replies.correlation_id_of(record.headers) for record in drain(settings, REPLIES)]


def wait_answered(settings: Settings, worker: Worker, count: int) -> None:
    """Wait until so many requests were answered."""
    wait_until(lambda: len(answered(settings)) >= count, 180, worker.text)


def test_it_is_answered_once_also_where_a_worker_is_killed_and_starts_again(
    settings: Settings,
) -> None:
    produce(settings, definitions())
    with Worker(settings, "w", NONE_IS_LATE) as worker:
        worker.ready()
        for number in (1, 2, 3):
            produce(settings, [trial(settings, number)])
            if number == 2:  # comes while no worker runs
                worker.start()
            wait_answered(settings, worker, number)
            if number == 1:
                worker.kill()
    assert answered(settings) == [b"1", b"2", b"3"]
    assert values(settings, *OUTPUT_TOPICS) == []
    folded = {each["topic"] for chunk in values(settings, CHUNK_LOG) for each in chunk["inputs"]}
    assert folded <= {TICKS}

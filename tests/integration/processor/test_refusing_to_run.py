"""A worker that cannot go on safely stops with a message and a non-zero exit."""

from pathlib import Path

from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.integration.processor.driving import (
    History,
    Worker,
    definitions,
    produce,
    wait_folded,
)


def refuses(worker: Worker) -> str:
    """Run a worker that must end by itself; return what it said."""
    with worker:
        assert worker.process.wait(180) == 1, worker.text()[-3000:]
    return worker.text()


def test_a_worker_refuses_partition_counts_that_are_not_the_catalogues(settings: Settings) -> None:
    other = settings.model_copy(update={"partitions": settings.partitions + 1})
    assert "challenge-logs" in refuses(Worker(other, "w"))


def test_a_worker_refuses_missing_topics(settings: Settings) -> None:
    other = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "none."})
    assert "challenge-logs" in refuses(Worker(other, "w"))


def test_a_worker_refuses_a_store_of_another_application(settings: Settings) -> None:
    produce(settings, definitions())
    history = History(members=5, seed=11)
    produce(settings, history.records(20, settings))
    with Worker(settings, "w") as worker:
        wait_folded(settings, history.sent, 180, worker)
    other = settings.model_copy(update={"application_id": "other"})
    create_topics(other)
    state = worker.settings.data_dir / "worker-w"
    mine = settings.topic(settings.application_id)
    Path(state / mine).rename(state / settings.topic("other"))
    assert "delete it" in refuses(Worker(other, "w"))

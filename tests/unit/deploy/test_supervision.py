"""What is told of a part that died."""

from pathlib import Path

from deploy.stack.child import Child
from deploy.stack.supervision import Part, Supervisor


def supervisor(data_dir: Path) -> Supervisor:
    (data_dir / "log").mkdir()
    return Supervisor(data_dir, [Part("worker-1", 2, Child(["true"], {}, "/"))])


def test_the_last_fatal_line_since_its_last_death_says_why_it_died(tmp_path: Path) -> None:
    parts = supervisor(tmp_path)
    log = tmp_path / "log" / "worker-1.log"
    assert parts.last_words("worker-1") == "it has logged nothing"
    log.write_text(
        "12:00 CRITICAL processor.worker: the worker stops: no heartbeat\n12:01 INFO x: started\n"
    )
    assert parts.last_words("worker-1") == "processor.worker: the worker stops: no heartbeat"
    with log.open("a") as file:
        file.write("12:02 INFO x: started\n12:03 WARNING x: CommitFailedError: it goes on\n")
    assert parts.last_words("worker-1") == f"it did not say why; see {log}"
    log.write_text("milestream: MILESTREAM_KAFKA: is not host:port\n")  # a new file, a rotated one
    assert parts.last_words("worker-1") == "milestream: MILESTREAM_KAFKA: is not host:port"

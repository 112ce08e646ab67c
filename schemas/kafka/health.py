"""Whether a Kafka client still works: what it runs in the background may end, and it says nothing.

aiokafka's clients have tasks that fetch, send, refresh metadata and keep the membership of a group.
One that met an error it did not expect logs it and ends, or parks until somebody takes the error
from it. The client looks alive and does nothing from then on. This is the one module that looks at
those private tasks; ``tests/unit/test_aiokafka_contract.py`` fails when aiokafka changes them.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


class ClientStopped(Exception):
    """A Kafka client has stopped working, and does not begin again; the message says why."""


def consumer_fault(consumer: AIOKafkaConsumer) -> str | None:
    """Return why a consumer that was started works no more; None where it does.

    May be asked from another thread than the consumer's.
    """
    coordinator = consumer._coordinator
    pending = getattr(coordinator, "_pending_exception", None)
    if pending is not None:  # the coordination waits until somebody takes it
        return f"the group's coordination met {pending!r}"
    tasks = {
        "the fetcher": getattr(consumer._fetcher, "_fetch_task", None),
        "the group's coordination": getattr(coordinator, "_coordination_task", None),
        "the reset of positions": getattr(coordinator, "_reset_committed_task", None),
        "the refresh of metadata": consumer._client._sync_task,
    }
    for task in ("_heartbeat_task", "_commit_refresh_task"):
        running = getattr(coordinator, task, None)
        if running is not None and _failure(running) is not None:
            return f"the group's {task.strip('_').replace('_', ' ')} met {_failure(running)!r}"
    return next(_ended(tasks), None)


def producer_fault(producer: AIOKafkaProducer) -> str | None:
    """Return why a producer that was started works no more; None where it does."""
    tasks = {
        "the sender": producer._sender.sender_task,
        "the refresh of metadata": producer.client._sync_task,
    }
    return next(_ended(tasks), None)


def check(consumer: AIOKafkaConsumer) -> None:
    """Return where a consumer works.

    Raises:
        ClientStopped: it does not, and a wait for its records would never end.
    """
    fault = consumer_fault(consumer)
    if fault is not None:
        raise ClientStopped(fault)


def _ended(tasks: dict[str, "asyncio.Task[Any] | None"]) -> Iterator[str]:
    for name, task in tasks.items():
        if task is not None and task.done():
            failure = _failure(task)
            yield f"{name} has ended" if failure is None else f"{name} met {failure!r}"


def _failure(task: "asyncio.Task[Any]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None

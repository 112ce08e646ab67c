"""Topics: made from the catalogue, brought back to it, and checked before a worker starts."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from deploy.clients import admin_client
from deploy.errors import CommandError
from schemas.kafka.asking import AdminClient
from schemas.settings import Settings
from schemas.topics import TOPICS, Topic, changelog_topic, positions_topic, topics_fault

_OK = 0
_UNKNOWN_TOPIC = 3
_ALREADY_EXISTS = 36
_SET_ON_THE_TOPIC = 1
"""DescribeConfigs' `config_source` of a value that was set on the topic itself."""


class TopicsError(CommandError):
    """A topic is not as the catalogue says; the message names each one."""


@dataclass(frozen=True)
class TopicState:
    """A topic of the catalogue beside what the broker has: `partitions` is None where missing."""

    topic: Topic
    name: str
    wanted: int
    partitions: int | None


def catalogue(settings: Settings) -> dict[str, Topic]:
    """Return every topic that must exist, by its full name."""
    topics = [
        *TOPICS.values(),
        changelog_topic(settings.application_id),
        positions_topic(settings.application_id),
    ]
    return {settings.topic(topic.name): topic for topic in topics}


def create_topics(settings: Settings) -> None:
    """Make the topics that are missing; bring the configuration of the others to the catalogue's.

    Raises:
        TopicsError: a topic has another partition count than the settings say. Nothing was changed.
        CommandError: the broker refused, or does not answer.
    """
    asyncio.run(ensure_topics(settings))


async def ensure_topics(settings: Settings) -> None:
    """Do what `create_topics` does, inside a running event loop."""
    async with admin_client(settings) as admin:
        found = await states(admin, settings)
        _refuse([state for state in found if state.partitions is not None])
        missing = [state for state in found if state.partitions is None]
        if missing:
            await _create(admin, settings, missing)
        await _alter(admin, [state for state in found if state.partitions is not None])
        await _wait_until_known(admin, settings)


async def topic_states(settings: Settings) -> list[TopicState]:
    """Return how each topic of the catalogue stands on the broker."""
    async with admin_client(settings) as admin:
        return await states(admin, settings)


async def check_topics(settings: Settings) -> None:
    """Make sure that every topic is there and has the catalogue's partition count.

    A worker calls this before it starts: folding with another count would split members' states.

    Raises:
        TopicsError: a topic is missing or has another partition count; all of them are named.
        CommandError: no broker answers.
    """
    _refuse(await topic_states(settings))


def _refuse(states: Iterable[TopicState]) -> None:
    states = list(states)
    fault = topics_fault(
        {state.name: state.wanted for state in states},
        {state.name: state.partitions for state in states if state.partitions is not None},
    )
    if fault is not None:
        raise TopicsError(fault)


async def states(admin: AdminClient, settings: Settings) -> list[TopicState]:
    """Return how each topic of the catalogue stands, as a connected client is told."""
    return _as_described(await admin.describe_topics(list(catalogue(settings))), settings)


def _as_described(described: Iterable[Mapping[str, Any]], settings: Settings) -> list[TopicState]:
    """Return how each topic of the catalogue stands by what a broker says."""
    entries = {entry["topic"]: entry for entry in described}
    states = []
    for name, topic in catalogue(settings).items():
        entry = entries.get(name, {"error_code": _UNKNOWN_TOPIC})
        _raise_for(entry["error_code"], name, allowed=(_UNKNOWN_TOPIC,))
        count = len(entry["partitions"]) if entry["error_code"] == _OK else None
        states.append(TopicState(topic, name, topic.partition_count(settings.partitions), count))
    return states


async def _create(admin: AdminClient, settings: Settings, missing: Iterable[TopicState]) -> None:
    response = await admin.create_topics(
        [
            NewTopic(
                state.name,
                num_partitions=state.wanted,
                replication_factor=settings.replication_factor,
                topic_configs=dict(state.topic.config),
            )
            for state in missing
        ]
    )
    for name, code, *detail in response.topic_errors:
        # Somebody else may make the same topics at the same moment; `up` and a test do.
        _raise_for(code, name, allowed=(_ALREADY_EXISTS,), detail=detail[0] if detail else None)


async def _alter(admin: AdminClient, states: Iterable[TopicState]) -> None:
    """Set what differs from the catalogue.

    AlterConfigs replaces a topic's whole configuration, so what an operator set besides
    (`min.insync.replicas`, say) is read first and written back.
    """
    wanted = {state.name: dict(state.topic.config) for state in states}
    if not wanted:
        return
    changes = [
        ConfigResource(ConfigResourceType.TOPIC, name, {**own, **wanted[name]})
        for name, (effective, own) in (await _configs(admin, wanted)).items()
        if _drifted(effective, wanted[name])
    ]
    if not changes:
        return
    for response in await admin.alter_configs(changes):
        for code, message, _kind, name in response.resources:
            _raise_for(code, name, detail=message)


async def drifted(admin: AdminClient, states: Iterable[TopicState]) -> dict[str, list[str]]:
    """Return, by the names of topics that are there, which settings differ from the catalogue."""
    wanted = {state.name: state.topic.config for state in states if state.partitions is not None}
    configs = await _configs(admin, wanted) if wanted else {}
    found = {name: _drifted(effective, wanted[name]) for name, (effective, _) in configs.items()}
    return {name: keys for name, keys in found.items() if keys}


def _drifted(effective: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [key for key, value in wanted.items() if effective.get(key) != value]


async def _configs(
    admin: AdminClient, names: Iterable[str]
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Return each topic's (effective values, values that were set on the topic itself)."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = {}
    for response in await admin.describe_configs(resources):
        for code, message, _kind, name, entries in response.resources:
            _raise_for(code, name, detail=message)
            effective = {entry[0]: entry[1] for entry in entries}
            own = {entry[0]: entry[1] for entry in entries if entry[3] == _SET_ON_THE_TOPIC}
            found[name] = (effective, own)
    return found


async def _wait_until_known(admin: AdminClient, settings: Settings) -> None:
    """Return when each broker's metadata has every topic with a leader for each partition.

    A client that asks in the first moments after a creation gets "unknown topic", and a Faust
    worker then spins for ever. Which of several brokers a client asks is chance.

    Raises:
        TopicsError: a topic has another partition count than the settings say.
        CommandError: no leaders are there after 20 s.
    """
    for _ in range(200):
        answers = await admin.describe_topics_everywhere(list(catalogue(settings)))
        if all(_is_led(entry) for described in answers for entry in described):
            _refuse(_as_described(answers[0], settings))
            return
        await asyncio.sleep(0.1)
    raise CommandError("the topics were made, but after 20 s the broker still has no leaders")


def _is_led(entry: Mapping[str, Any]) -> bool:
    return entry["error_code"] == _OK and all(
        partition["error_code"] == _OK and partition["leader"] >= 0
        for partition in entry["partitions"]
    )


def _raise_for(
    code: int, name: str, *, allowed: tuple[int, ...] = (), detail: str | None = None
) -> None:
    if code == _OK or code in allowed:
        return
    error = for_code(code)
    raise CommandError(f"topic {name}: {detail or error.description or error.__name__}")

"""Topics: made, left alone, brought back to the catalogue, and refused with another count."""

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.clients import admin_client
from deploy.errors import CommandError
from deploy.topics_create import TopicsError, catalogue, check_topics, ensure_topics, topic_states
from schemas.settings import Settings
from schemas.topics import (
    CHALLENGE_LOGS,
    OUTPUT_TOPICS,
    POINTS_EVENTS,
    TOPICS,
    changelog_topic,
)
from tests.integration.deploy.conftest import Run, polling


async def config_of(settings: Settings, name: str) -> dict[str, str]:
    async with admin_client(settings) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic(name))
        (response,) = await admin.describe_configs([resource])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


async def set_config(settings: Settings, name: str, config: dict[str, str]) -> None:
    async with admin_client(settings) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.topic(name), config)
        await admin.alter_configs([resource])
    # The controller answers before the broker has heard of it.
    async for _ in polling():
        if config.items() <= (await config_of(settings, name)).items():
            return


async def test_every_topic_is_made_with_its_partitions_and_configuration(
    topics: Settings,
) -> None:
    states = {state.name: state for state in await topic_states(topics)}
    assert set(states) == set(catalogue(topics))
    assert {topics.topic(name) for name in TOPICS} < set(states)
    assert topics.topic(changelog_topic(topics.application_id).name) in states
    assert all(state.partitions == state.wanted for state in states.values())
    assert states[topics.topic("definitions")].partitions == 1
    assert states[topics.topic(CHALLENGE_LOGS)].partitions == topics.partitions
    config = await config_of(topics, CHALLENGE_LOGS)
    assert config["retention.ms"] == "-1"
    assert config["max.message.bytes"] == str(2 << 20)


async def test_making_them_again_changes_nothing(topics: Settings) -> None:
    before = await topic_states(topics)
    await ensure_topics(topics)
    assert await topic_states(topics) == before


async def test_another_configuration_is_brought_back_and_an_operators_own_kept(
    topics: Settings,
) -> None:
    changed = {"retention.ms": "1000", "cleanup.policy": "delete", "segment.bytes": "2000000"}
    await set_config(topics, CHALLENGE_LOGS, changed)
    await ensure_topics(topics)
    wanted = {"retention.ms": "-1", "max.message.bytes": str(2 << 20)}
    async for _ in polling():
        config = await config_of(topics, CHALLENGE_LOGS)
        if wanted.items() <= config.items():
            assert config["segment.bytes"] == "2000000"
            return


async def test_outputs_of_before_get_the_brokers_time(topics: Settings) -> None:
    await set_config(topics, POINTS_EVENTS, {"message.timestamp.type": "CreateTime"})
    await ensure_topics(topics)
    async for _ in polling():
        for name in OUTPUT_TOPICS:
            config = await config_of(topics, name)
            if config["message.timestamp.type"] != "LogAppendTime":
                assert name == POINTS_EVENTS
                break
        else:
            return


async def test_another_partition_count_is_refused_with_the_topic_named(
    topics: Settings,
) -> None:
    other = topics.model_copy(update={"partitions": topics.partitions + 1})
    with pytest.raises(TopicsError, match="challenge-logs has 4 partitions, not 5"):
        await ensure_topics(other)
    with pytest.raises(TopicsError, match="MILESTREAM_PARTITIONS"):
        await check_topics(other)
    await check_topics(topics)


async def test_a_worker_is_told_which_topics_are_missing(settings: Settings) -> None:
    with pytest.raises(TopicsError, match=r"challenge-logs.*milestream topics create"):
        await check_topics(settings)


async def test_no_broker_is_said_with_the_setting_named(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka": "127.0.0.1:1"})
    with pytest.raises(CommandError, match=r"at 127\.0\.0\.1:1: .* correct MILESTREAM_KAFKA$"):
        await ensure_topics(nowhere)


def test_the_commands_say_what_is_there(run: Run, settings: Settings) -> None:
    before = run("topics", "list")
    assert before.returncode == 0
    assert "missing" in before.stdout
    assert run("topics", "create").returncode == 0
    again = run("topics", "create")
    assert (again.returncode, again.stderr) == (0, "")
    assert "missing" not in run("topics", "list").stdout
    assert settings.topic(CHALLENGE_LOGS) in run("topics", "list").stdout

"""A database's read models are of one cluster and one topic prefix, and groups are apart too."""

import asyncio
import os

import psycopg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from projections.catalogue import PROJECTIONS
from projections.rebuild import rebuild
from projections.runner import ProjectorStopped, Runner
from projections.source_binding import OtherSource
from schemas.kafka.descriptions import Describer
from schemas.settings import Settings
from schemas.topics import MEMBER_EVENTS
from tests import forking
from tests.integration.projections.driving import caught_up, projecting, query, table, writing
from tests.unit.projections.events import member_upserted

_SOURCE = "SELECT cluster_id, topic_prefix FROM milestream_private.projection_source"


async def _project_one_member(settings: Settings) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)


async def test_the_first_start_binds_and_the_next_goes_on(settings: Settings) -> None:
    await _project_one_member(settings)
    ((cluster, prefix),) = query(settings, _SOURCE)
    assert cluster
    assert prefix == settings.topic_prefix
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(2, 2))
        await caught_up(settings)
    assert len(table(settings, "members")) == 2


@pytest.mark.parametrize("column", ["cluster_id", "topic_prefix"])
async def test_a_database_of_another_source_is_refused(settings: Settings, column: str) -> None:
    await _project_one_member(settings)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            f"UPDATE milestream_private.projection_source SET {column} = 'another'".encode()
        )
    before = table(settings, "members")
    async with writing(settings) as writer:
        await writer.commit(member_upserted(2, 2))
    with pytest.raises(ProjectorStopped, match=r"'another'.*MILESTREAM_DATABASE_URL"):
        await asyncio.wait_for(Runner(settings).run(), 60)
    with pytest.raises(OtherSource):
        await rebuild(settings, "members", lambda _done, _total: None)
    assert table(settings, "members") == before


@pytest.mark.parametrize("command", [["projector"], ["rebuild", "members"]])
async def test_the_commands_say_so_and_fail(settings: Settings, command: list[str]) -> None:
    await _project_one_member(settings)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("UPDATE milestream_private.projection_source SET cluster_id = 'another'")
    environment = os.environ | settings.to_env()
    done = await asyncio.to_thread(forking.run, command, environment, seconds=300)
    assert done.returncode == 1
    assert "cluster 'another'" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_topic_that_was_made_anew_is_refused_until_the_read_model_is_rebuilt(
    settings: Settings,
) -> None:
    await _project_one_member(settings)
    before = table(settings, "members")
    await _make_anew(settings, MEMBER_EVENTS)
    async with writing(settings) as writer:  # more than there was, so that no offset is missing
        for number in range(2, 12):
            await writer.commit(member_upserted(number, number))
    with pytest.raises(ProjectorStopped, match=r"member-events.*made anew.*rebuild .*members"):
        await asyncio.wait_for(Runner(settings).run(), 60)
    assert table(settings, "members") == before
    tables = [n for n, projection in PROJECTIONS.items() if MEMBER_EVENTS in projection.topics]
    for name in tables:
        await rebuild(settings, name, lambda _done, _total: None)
    assert table(settings, "members") == []
    async with projecting(Runner(settings)):
        await caught_up(settings)
    assert len(table(settings, "members")) == 10


async def test_a_database_of_a_version_without_topic_ids_is_bound_to_them(
    settings: Settings,
) -> None:
    await _project_one_member(settings)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("UPDATE milestream.projection_checkpoints SET topic_id = NULL")
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(2, 2))
        await caught_up(settings)
    unbound = "SELECT count(*) FROM milestream.projection_checkpoints WHERE topic_id IS NULL"
    assert query(settings, unbound) == [(0,)]


async def _make_anew(settings: Settings, name: str) -> None:
    topic = settings.topic(name)
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        async with Describer(settings) as describer:
            (before,) = (await describer.topics([topic])).values()
            await admin.delete_topics([topic])
            for _ in range(1200):
                if topic not in await describer.topics([topic]):
                    break
                await asyncio.sleep(0.05)
            await admin.create_topics([NewTopic(topic, settings.partitions, 1)])
            for _ in range(1200):
                after = (await describer.topics([topic])).get(topic, before)
                if after.id != before.id and min(after.leaders.values()) >= 0:
                    return
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    raise AssertionError("the broker has not got the topic")


async def test_the_projectors_of_two_prefixes_are_two_groups(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        async with projecting(Runner(settings)), asyncio.timeout(180):
            mine = settings.topic(f"{settings.application_id}-projector")
            groups: set[str] = set()
            while mine not in groups:
                await asyncio.sleep(0.05)
                groups = {group for group, *_ in await admin.list_consumer_groups()}
    finally:
        await admin.close()
    assert f"{settings.application_id}-projector" not in groups

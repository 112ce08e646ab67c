"""Who is forgotten is found nowhere: no topic, table, store or log has its name, mail or number;
and what it did is what it was."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.topics_create import catalogue, create_topics
from processor.store import StateStore
from projections.migrate import migrate
from schemas import ids
from schemas.settings import Settings
from schemas.topics import MEMBER_EVENTS, MEMBER_KEYS, TOPICS, changelog_topic, positions_topic
from tests.integration.api.serving import PROJECT, Served, process, run, wait_until_ready
from tests.integration.processor.driving import CHALLENGE, drain, wait_until
from tests.integration.projections.driving import caught_up, query
from tests.ports import free_port
from tests.stack import FreshSettings

SECRETS = ("Annabelinda", "Leewaterman", "annabelinda@example.org", "+14155552671", "Oaktownship")
FIRST, LAST, MAIL, NUMBER, CITY = SECRETS
USER = "joe"
MEMBER = ids.member_id(PROJECT, USER)
TABLES = ("challenge_progress", "challenge_logs", "event_log", "points_ledger", "points_totals")


def found(data: bytes | None) -> set[str]:
    """Return which of the secrets are in some bytes."""
    return {secret for secret in SECRETS if secret.encode() in (data or b"")}


async def found_on_topics(settings: Settings) -> set[tuple[str, str]]:
    """Return the topics, without prefix, with the secrets that are on them."""
    internal = changelog_topic(settings.application_id), positions_topic(settings.application_id)
    names = [*TOPICS, internal[0].name]
    assert {settings.topic(name) for name in (*names, internal[1].name)} == set(catalogue(settings))
    return {
        (record.topic.removeprefix(settings.topic_prefix), secret)
        for record in await asyncio.to_thread(drain, settings, *names)
        for part in (record.key, record.value, *(value for _, value in record.headers))
        for secret in found(part)
    }


def found_in_tables(settings: Settings) -> set[tuple[str, str]]:
    """Return the tables with the secrets that are in their rows."""
    text = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname ^@ 'milestream'"
    return {
        (table, secret)
        for (table,) in query(settings, text)
        for (row,) in query(settings, f"SELECT t::text FROM {table} AS t")
        for secret in found(row.encode())
    }


def found_in_files(directory: Path) -> set[tuple[str, str]]:
    """Return the files below a directory with the secrets that are in them."""
    return {
        (file.name, secret)
        for file in directory.rglob("*")
        if file.is_file()
        for secret in found(file.read_bytes())
    }


def found_in_store(settings: Settings) -> set[str]:
    """Return which of the secrets a closed store's entries have. That its files have no former ones
    is tried where they are not compressed: ``tests/unit/processor/test_erasing.py``."""
    (path,) = settings.data_dir.rglob("partition-0")
    states = StateStore(path.parent)
    try:
        store = states.open(0)
        assert not store.has_erased
        entries = cast("Iterable[tuple[bytes, bytes]]", store._db.items())
        return {secret for entry in entries for part in entry for secret in found(part)}
    finally:
        states.close_all_but(())


def what_it_has(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return the member's rows in tables that name nobody, but for the addresses in them."""
    return {
        table: query(
            settings,
            f"SELECT (to_jsonb(t) - 'ip')::text FROM milestream.{table} AS t "
            "WHERE member_id = %s ORDER BY 1",
            MEMBER,
        )
        for table in TABLES
    }


@pytest.fixture
def served(fresh_settings: FreshSettings, tmp_path: Path) -> Iterator[Served]:
    """An API and a projector, without a worker."""
    settings = fresh_settings(api_port=free_port(), partitions=1)
    create_topics(settings)
    migrate(settings.database_url)
    with ExitStack() as stack:
        for command in ("projector", "api"):
            stack.enter_context(process(settings, command, tmp_path, patient=command == "api"))
        api = Served(settings)
        wait_until_ready(api, tmp_path, with_worker=False)
        yield api


async def becomes_known(admin: httpx.AsyncClient, settings: Settings, directory: Path) -> None:
    """Have everything that writes members write this one: an import, the API, a log."""
    lines = [
        {"type": "upsert-member", "project": PROJECT, "externalId": USER, "firstName": FIRST},
        {"type": "upsert-member", "project": PROJECT, "externalId": "ben", "firstName": "Ben"},
    ]
    file = directory / "members.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    imported = await asyncio.to_thread(run, settings, "import", "member-commands", str(file))
    assert imported.returncode == 0, imported.stderr
    file.unlink()
    challenge = {"name": "Spend", "completionTargetValue": 100, "pointsOnCompletion": 7}
    visit = {"title": "Visit", "type": "FIXED", "reward": {"default": 5}}
    for path, body in ((f"challenge/{CHALLENGE}", challenge), ("event/visit", visit)):
        assert (await admin.put(f"/definitions/{path}", json=body)).status_code < 300
    profile = {"externalId": USER, "lastName": LAST, "email": MAIL, "phoneNumber": NUMBER}
    assert (await admin.post("/schema/member/record", json=profile)).status_code == 200
    log = {
        "challengeId": CHALLENGE,
        "activityAt": "2026-11-21T10:00:00Z",
        "activityId": "purchase",
        "activityValue": 120,
        "uniqueIdentifier": "order-1",
        "ownedBy": {"externalId": USER, "city": CITY},
    }
    assert (await admin.post("/schema/challenge_log/record", json=log)).status_code == 201
    assert (
        await admin.post("/event", json={"eventId": "visit", "userId": USER})
    ).status_code == 200


async def compact(settings: Settings) -> None:
    """Let the compacted topics' segments be short, and cleaned as soon as they are over."""
    changelog = changelog_topic(settings.application_id)
    topics = (TOPICS[MEMBER_EVENTS], TOPICS[MEMBER_KEYS], changelog)
    soon = {
        "segment.ms": "500",
        "min.cleanable.dirty.ratio": "0.001",
        "max.compaction.lag.ms": "500",
    }
    admin = AIOKafkaAdminClient(**settings.kafka_options())
    await admin.start()
    try:
        kind = ConfigResourceType.TOPIC
        await admin.alter_configs(
            [ConfigResource(kind, settings.topic(t.name), {**t.config, **soon}) for t in topics]
        )
    finally:
        await admin.close()


async def write_on(admin: httpx.AsyncClient, number: int) -> None:
    """Have others write, so that the segment before is over."""
    body = {"externalId": f"other-{number}", "city": "Ulm"}
    assert (await admin.post("/schema/member/record", json=body)).status_code == 201


async def nothing_is_found_on_topics(settings: Settings, admin: httpx.AsyncClient) -> None:
    """Wait for that, while others write."""
    async with asyncio.timeout(300):
        number = 0
        while await found_on_topics(settings):
            await write_on(admin, number := number + 1)
            await asyncio.sleep(0.6)


@pytest.mark.slow
async def test_who_is_forgotten_is_found_nowhere(served: Served, tmp_path: Path) -> None:
    settings = served.settings
    async with await served.client() as admin:
        with process(settings, "worker", tmp_path, patient=True):
            await becomes_known(admin, settings, tmp_path)
            await caught_up(settings)
        # What is searched with finds what is there; of the inputs nothing.
        changelog = changelog_topic(settings.application_id).name
        everywhere = {(topic, secret) for topic in (MEMBER_EVENTS, changelog) for secret in SECRETS}
        assert await found_on_topics(settings) == everywhere
        assert {secret for _, secret in found_in_tables(settings)} == set(SECRETS)
        assert found_in_store(settings) == set(SECRETS)
        before = what_it_has(settings)
        assert all(before.values())

        with process(settings, "worker", tmp_path, patient=True):
            assert (await admin.post(f"/user/{USER}/forget")).status_code == 200
            await compact(settings)
            await nothing_is_found_on_topics(settings, admin)
            wait_until(
                lambda: "is out of its files" in (tmp_path / "worker.log").read_text(), 180, str
            )
            assert (await admin.get(f"/user/{USER}/points")).status_code == 404
            await caught_up(settings)
    assert await found_on_topics(settings) == set()
    assert found_in_tables(settings) == set()
    assert found_in_store(settings) == set()
    assert found_in_files(settings.data_dir) == set()
    assert found_in_files(tmp_path) == set()  # the logs
    assert what_it_has(settings) == before
    verified = run(settings, "verify")
    assert verified.returncode == 0, verified.stderr
    assert "of 1 members that were forgotten nothing was compared" in verified.stdout
    rebuilt = run(settings, "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert found_in_tables(settings) == set()
    assert what_it_has(settings) == before
    text = (
        "SELECT external_id, first_name FROM milestream.members WHERE external_id IN ('joe', 'ben')"
    )
    assert query(settings, text) == [("ben", "Ben")]
    addresses = "SELECT count(ip) FROM milestream.event_log"
    assert query(settings, addresses) == [(0,)]

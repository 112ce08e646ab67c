"""The demo: three challenges, a few thousand people, some days of history, and a steady flow.

The history is made of the members' numbers and the dates alone, and the position on Kafka says
which days are there. So a demo that is started again goes on instead of telling its story twice.
"""

import asyncio
import shlex
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from random import Random

import orjson
from aiokafka import AIOKafkaProducer

from deploy import demo_people
from deploy.apply import Document, publish, read
from deploy.batches import Batches
from deploy.clients import transactional_producer
from deploy.positions import positions_topic, read_positions
from schemas import ids, records
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS, MIB, partition_for

MEMBERS = 3000
HISTORY_DAYS = 10
RATE = 50
"""Records a second."""

KEY_FILE = "demo-key.json"
_POSITION_KEY = b"demo/history"
_TICK_SECONDS = 0.2
_SECONDS_BETWEEN_BAD = 15
_RECENT = 200
_NEWCOMER_SHARE = 0.1


def demo_documents() -> list[Document]:
    """Return the demo's definitions as they stand in their file."""
    with as_file(files("deploy") / "demo_definitions.yaml") as path:
        return read([path])


async def apply_definitions(settings: Settings) -> int:
    """Publish the demo's definitions that are not in force as they are; return how many.

    Raises:
        CommandError: the broker is not there or refuses.
    """
    outcomes = await publish(settings, demo_documents())
    return sum(outcome.what != "unchanged" for outcome in outcomes)


async def run_demo(settings: Settings, rate: float, stopping: asyncio.Event) -> None:
    """Apply the definitions, send the days that are missing, then a steady flow until told to stop.

    Raises:
        CommandError, KafkaError: the broker is not there or refuses.
    """
    await apply_definitions(settings)
    await send_history(settings, datetime.now(UTC).date(), stopping)
    await _flow(settings, rate, stopping)


async def send_history(settings: Settings, today: date, stopping: asyncio.Event) -> int:
    """Send the days before `today` that were not yet sent, each in one transaction."""
    sent = 0
    async with transactional_producer(settings, "demo", max_request_size=4 * MIB) as producer:
        raw = (await read_positions(settings)).get(_POSITION_KEY.decode())
        first = today - timedelta(days=HISTORY_DAYS)
        if raw is not None:
            first = max(first, date.fromisoformat(raw.decode()) + timedelta(days=1))
        while first < today and not stopping.is_set():
            sent += await _send_day(settings, producer, first)
            first += timedelta(days=1)
    return sent


async def _send_day(settings: Settings, producer: AIOKafkaProducer, on: date) -> int:
    logs = sorted(demo_people.day(on, MEMBERS), key=lambda log: log.activity_at)
    batches = Batches(producer)
    for log in logs:
        key, partition, value = _placed(settings, log)
        batches.add(settings.topic(CHALLENGE_LOGS), partition, key, value)
    positions = settings.topic(positions_topic(settings.application_id).name)
    batches.add(positions, 0, _POSITION_KEY, on.isoformat().encode())
    async with producer.transaction():
        await batches.send()
    return len(logs)


def _placed(settings: Settings, log: records.ChallengeLog) -> tuple[bytes, int, bytes]:
    """Return a log's key, partition and value."""
    assert log.owned_by is not None
    member = ids.member_id(log.project, log.owned_by.external_id)
    return member.encode(), partition_for(member, settings.partitions), records.encode(log)


class _Crowd:
    """People who do something now: some thousand at a time, newcomers replacing the longest there.

    With the same people for ever, fifty records a second would soon be a year's shopping each.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)  # noqa: S311
        self._people = deque(range(MEMBERS), maxlen=MEMBERS)
        self._next = seed
        self._recent: deque[records.ChallengeLog] = deque(maxlen=_RECENT)

    def log(self) -> records.ChallengeLog:
        """Return the next log; one in fifty comes a second time."""
        chance = self._chance
        if self._recent and chance.random() < 0.02:
            return chance.choice(self._recent)
        if chance.random() < _NEWCOMER_SHARE:
            self._next += 1
            self._people.append(self._next)
        owner = demo_people.person(self._people[chance.randrange(len(self._people))])
        self._next += 1
        log = self._made(owner, datetime.now(UTC).replace(microsecond=0), f"{self._next}")
        self._recent.append(log)
        return log

    def _made(self, owner: records.OwnedBy, at: datetime, name: str) -> records.ChallengeLog:
        kind = self._chance.random()
        if kind < 0.25:
            return demo_people.purchase(self._chance, owner, at, name)
        if kind < 0.45:
            return demo_people.visit(owner, at, name)
        return demo_people.walk(self._chance, owner, at, name)


async def _flow(settings: Settings, rate: float, stopping: asyncio.Event) -> None:
    """Send `rate` records a second until told to stop."""
    loop = asyncio.get_running_loop()
    seed = int(datetime.now(UTC).timestamp())
    crowd, topic = _Crowd(seed), settings.topic(CHALLENGE_LOGS)
    begun = bad_at = loop.time()
    sent = bad = 0
    async with AIOKafkaProducer(**settings.kafka_options(), compression_type="zstd") as producer:
        while not stopping.is_set():
            pending = []
            while sent < (loop.time() - begun) * rate:
                key, partition, value = _placed(settings, crowd.log())
                pending.append(await producer.send(topic, value, key=key, partition=partition))
                sent += 1
            if loop.time() - bad_at > _SECONDS_BETWEEN_BAD:
                bad_at = loop.time()
                pending.append(await producer.send(topic, _bad_record(bad, seed)))
                bad += 1
            await asyncio.gather(*pending)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _TICK_SECONDS)


def _bad_record(number: int, seed: int) -> bytes:
    """Return a record that is refused: of an unknown challenge, a sum without a value, with a time
    that has no offset, or cut off."""
    fields: dict[str, object] = {
        "challengeId": demo_people.SPEND,
        "ownedBy": {"externalId": demo_people.external_id(7)},
        "activityAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "activityId": "made_a_purchase",
        "uniqueIdentifier": f"bad-{seed}-{number}",
    }
    faults: Sequence[dict[str, object]] = (
        {"challengeId": "7e1f3b52-0000-4000-8000-000000000000", "activityValue": 12},
        {},
        {"activityAt": "2026-11-21T10:30:00", "activityValue": 12},
    )
    kind = number % (len(faults) + 1)
    if kind == len(faults):
        return orjson.dumps(fields)[:-20]
    return orjson.dumps({**fields, **faults[kind]})


def example_curl(settings: Settings) -> str | None:
    """Return commands to paste: a challenge log over HTTP, and how to open the dashboard.

    The key is made at the first call, with role admin in project `default`, and kept in the data
    dir. None where the database has no place for keys yet.
    """
    key_id, secret = asyncio.run(_admin_key(settings))
    body = {
        "challengeId": demo_people.SPEND,
        "ownedBy": {"externalId": "you", "firstName": "Robin"},
        "activityAt": "NOW",
        "activityId": "made_a_purchase",
        "uniqueIdentifier": "order-SECONDS",
        "activityValue": 87.5,
    }
    text = shlex.quote(orjson.dumps(body).decode())
    text = text.replace("NOW", "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'")
    text = text.replace("SECONDS", "'$(date +%s)'")
    return (
        f"curl -s {settings.public_url}/schema/challenge_log/record \\\n"
        f"  -H 'x-api-key: {key_id}' -H 'x-api-secret: {secret}' \\\n"
        "  -H 'content-type: application/json' \\\n"
        f"  -d {text}\n"
        f"\n# The dashboard, {settings.public_url}/, asks for a name and a password:\n"
        f"#   {key_id}\n#   {secret}"
    )


async def _admin_key(settings: Settings) -> tuple[str, str]:
    """Return the demo's admin key, made anew where the database does not know it."""
    from psycopg import AsyncConnection

    from api.credentials import Role, create_key
    from api.queries import credentials as queries
    from deploy.stack.data_dir import write_private

    path = settings.data_dir / KEY_FILE
    kept = _kept(path)
    async with await AsyncConnection.connect(settings.database_url) as connection:
        if kept is not None and await queries.api_key(connection, kept[0]) is not None:
            return kept
        key = await create_key(
            connection, ids.DEFAULT_PROJECT, Role.ADMIN, settings.master_key, signing=False
        )
    write_private(path, {"keyId": key.key_id, "secret": key.secret})
    return key.key_id, key.secret


def _kept(path: Path) -> tuple[str, str] | None:
    try:
        kept = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return kept["keyId"], kept["secret"]

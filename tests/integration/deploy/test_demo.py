"""The demo's flow."""

import asyncio
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from deploy.demo import KEY_FILE, MEMBERS, apply_definitions, example_curl, send_history
from deploy.demo_people import SPEND
from processor.definitions import DefinitionsReader
from projections.migrate import migrate
from schemas.records import ChallengeLog
from schemas.settings import Settings
from tests.integration.deploy.conftest import committed, polling


async def test_definitions_are_written_once(topics: Settings) -> None:
    assert await apply_definitions(topics) == 10
    assert await apply_definitions(topics) == 0
    async with DefinitionsReader(topics) as reader:
        assert reader.refused == 0


async def test_each_day_of_history_is_sent_once(topics: Settings) -> None:
    stopping, today = asyncio.Event(), datetime.now(UTC).date()
    sent = await send_history(topics, today, stopping)
    assert sent > MEMBERS
    assert await send_history(topics, today, stopping) == 0
    next_day = await send_history(topics, today + timedelta(days=1), stopping)
    assert 0 < next_day < sent
    assert len(await committed(topics, "challenge-logs")) == sent + next_day


async def test_it_flows_until_told_to_stop(
    topics: Settings, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child("demo-traffic", "--rate", "200")
    async for _ in polling(seconds=40):
        records = await committed(topics, "challenge-logs")
        if sum(b'"activityAt":"' + today() in (r.value or b"") for r in records) > 100:
            break
        assert process.poll() is None
    process.terminate()
    assert await asyncio.to_thread(process.wait, 10) == 0


def today() -> bytes:
    return datetime.now(UTC).date().isoformat().encode()


def test_the_example_can_be_pasted_and_its_key_is_kept(settings: Settings) -> None:
    settings.data_dir.mkdir()
    migrate(settings.database_url)
    example = example_curl(settings)
    assert example == example_curl(settings)
    arguments = pasted(str(example))
    body = arguments[arguments.index("-d") + 1]
    log = msgspec.json.decode(body, type=ChallengeLog)
    assert (log.challenge_id, bytes(log.activity_value)) == (SPEND, b"87.5")
    assert f"{settings.public_url}/schema/challenge_log/record" in arguments
    kept = settings.data_dir / KEY_FILE
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_key_that_the_database_does_not_know_is_made_anew(settings: Settings) -> None:
    settings.data_dir.mkdir()
    migrate(settings.database_url)
    (settings.data_dir / KEY_FILE).write_text('{"keyId": "gone", "secret": "s"}')
    assert "x-api-key: gone" not in str(example_curl(settings))


def pasted(example: str) -> list[str]:
    """Return the arguments that a shell gives to curl."""
    script = "curl() { printf '%s\\n' \"$@\"; }\n" + example
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()

"""The demo's flow."""

import asyncio
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from deploy.demo import MEMBERS, apply_definitions, send_history
from processor.definitions import DefinitionsReader
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

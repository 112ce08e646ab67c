"""How far the demo's history has come. Until it is through, every answer waits behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import psycopg
from aiokafka.errors import KafkaError

from deploy.clients import admin_client, read_positions
from deploy.demo import HISTORY_DAYS, POSITION_KEY
from deploy.lag import Offsets, ends_of, folded, projected
from projections.catalogue import PROJECTIONS
from schemas.settings import Settings
from schemas.topics import ACTIVITY_LOGS, CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS

PATIENCE_SECONDS = 600
"""After so long nobody waits for it any more: something is slow, and the logs say what."""
_LOOK_SECONDS = 0.3
_INPUTS = (CHALLENGE_LOGS, EVENTS, ACTIVITY_LOGS, MEMBER_COMMANDS)

Tell = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""


async def wait_for_history(settings: Settings, tell: Tell, look: Callable[[], object]) -> bool:
    """Wait until the demo's history is sent, folded and in the read models; tell whether it is.

    ``look`` is called again and again meanwhile; what it raises ends the wait.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS), admin_client(settings) as admin:
            async for days in _days_sent(settings):
                look()
                tell("sending", days, HISTORY_DAYS)
            ends = await ends_of(settings, _INPUTS)
            async for done in _reached(ends, lambda: folded(settings, admin, list(ends))):
                look()
                tell("folding", done, sum(ends.values()))
            outputs = {topic for projection in PROJECTIONS.values() for topic in projection.topics}
            ends = await ends_of(settings, tuple(outputs))
            async for done in _reached(ends, lambda: projected(settings)):
                look()
                tell("showing", done, sum(ends.values()))
            return True
    return False


async def _days_sent(settings: Settings) -> AsyncIterator[int]:
    """Yield how many of the history's days are sent, until all are."""
    while True:
        last = datetime.now(UTC).date() - timedelta(days=1)
        raw = (await read_positions(settings)).get(POSITION_KEY.decode())
        left = HISTORY_DAYS if raw is None else (last - date.fromisoformat(raw.decode())).days
        yield max(0, HISTORY_DAYS - max(0, left))
        if left <= 0:
            return
        await asyncio.sleep(1)


async def _reached(ends: Offsets, ask: Callable[[], Awaitable[Offsets]]) -> AsyncIterator[int]:
    """Yield how many offsets of ``ends`` are reached, until all are.

    The last offset of a partition may be a transaction's marker, which nobody folds.
    """
    while True:
        with suppress(KafkaError, psycopg.Error):  # it is asked again
            reached = await ask()
            yield sum(min(reached.get(place, 0), end) for place, end in ends.items())
            if all(reached.get(place, 0) >= end - 1 for place, end in ends.items()):
                return
        await asyncio.sleep(_LOOK_SECONDS)

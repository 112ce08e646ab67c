"""What a look at one thing found, and how looks are taken."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import psycopg
from aiokafka.errors import KafkaError

from deploy.errors import CommandError
from schemas.settings import Settings

LOOK_SECONDS = 15.0
"""How long one look may take."""

MAX_LAG = 10_000
"""Records that somebody may be behind: more than that takes some seconds."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one look found: ``advice`` says what to do where it is not well."""

    name: str
    ok: bool
    found: str
    advice: str | None = None


def well(name: str, found: str) -> Finding:
    """Return a finding that needs nothing to be done."""
    return Finding(name, True, found)


def ill(name: str, found: str, advice: str) -> Finding:
    """Return a finding that needs something to be done."""
    return Finding(name, False, found, advice)


def lag(name: str, records: int, advice: str) -> Finding:
    """Return what a number of records says that somebody is behind."""
    found = f"{records:,} records"
    return ill(name, found, advice) if records > MAX_LAG else well(name, found)


Look = Callable[[Settings], Awaitable[Finding]]


async def take(name: str, look: Look, settings: Settings, unreachable: str) -> Finding:
    """Return what a look found; ``unreachable`` is the advice where it could not be taken."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await look(settings)
    except TimeoutError:
        return ill(name, f"nothing was answered within {LOOK_SECONDS:.0f} s", unreachable)
    except (CommandError, KafkaError, psycopg.Error, OSError) as error:
        return ill(name, " ".join(str(error).split()) or type(error).__name__, unreachable)

"""How many requests a second a caller may make: a bucket each, filled at its rate.

A request looks at a bucket of its own process alone, which costs a microsecond. Once a second a
process tells the database what busy callers spent at it and hears what they have left over all
processes. So a limit is exact within what all processes pass in that second; what was too much then
is waited for afterwards, and over a longer time the rate is kept.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.http.problems import Problem
from api.queries import budgets

logger = logging.getLogger(__name__)

MAX_BYTES = 16 * 1024 * 1024
"""What all buckets may take; the one that was not used for the longest goes first."""

BUCKET_BYTES = 512
"""What a bucket takes, with its name and its place, rounded up."""

TOLD_SECONDS = 1.0
"""How often a process tells what was spent."""

_FORGOTTEN_SECONDS = 60.0

_BUSY = 0.25
"""A caller that took less of its rate than this is nobody's concern but this process's."""

_CALLER_BYTES = 16


@dataclass(slots=True)
class _Bucket:
    """What a caller has left at this process, and what it spent since the database was told."""

    rate: float
    burst: float
    left: float
    at: float
    spent: float = 0.0


def caller_of(project: str, key_id: str | None, user_id: str | None) -> bytes:
    """Return the name of a caller's bucket, which tells nothing about it."""
    kind, name = ("user", user_id) if key_id is None else ("key", key_id)
    return blake2b(f"{project}/{kind}/{name}".encode(), digest_size=_CALLER_BYTES).digest()


class Quotas:
    """The buckets of one API process."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._most = max_bytes // BUCKET_BYTES
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: bytes, rate: float, burst: float, now: float) -> None:
        """Let a request pass.

        Args:
            caller: whose request it is, as `caller_of` names it.
            rate: requests a second.
            burst: requests at once.
            now: in seconds, of a clock that never goes back.

        Raises:
            Problem: 429, the caller has had them.
        """
        bucket = self._bucket(caller, rate, burst, now)
        if bucket.left < 1:
            raise too_many(rate, burst, bucket.left)
        bucket.left -= 1
        bucket.spent += 1

    def _bucket(self, caller: bytes, rate: float, burst: float, now: float) -> _Bucket:
        bucket = self._buckets.get(caller)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[caller] = _Bucket(rate, burst, burst, now)
            return bucket
        self._buckets.move_to_end(caller)
        bucket.rate, bucket.burst = rate, burst  # the definition may have changed
        bucket.left = min(burst, bucket.left + rate * (now - bucket.at))
        bucket.at = now
        return bucket

    def busy(self) -> list[budgets.Spent]:
        """Return what busy callers spent since the last call; of others it is forgotten."""
        told = []
        for caller, bucket in self._buckets.items():
            if bucket.spent >= max(1.0, _BUSY * bucket.rate * TOLD_SECONDS) or bucket.left < 0:
                told.append(budgets.Spent(caller, bucket.rate, bucket.burst, bucket.spent))
            bucket.spent = 0.0
        return told

    def settle(self, left: dict[bytes, float]) -> None:
        """Put callers' buckets to what they have left over all processes."""
        for caller, over_all in left.items():
            bucket = self._buckets.get(caller)
            if bucket is not None:
                bucket.left = min(over_all - bucket.spent, bucket.burst)

    async def run(self, pool: AsyncConnectionPool[AsyncConnection]) -> None:
        """Tell the database, and hear from it, until cancelled; without it, this process counts
        alone."""
        forgotten = time.monotonic()
        while True:
            await asyncio.sleep(TOLD_SECONDS)
            try:
                if spent := self.busy():
                    async with pool.connection() as connection:
                        self.settle(await budgets.spend(connection, spent))
                if time.monotonic() - forgotten > _FORGOTTEN_SECONDS:
                    forgotten = time.monotonic()
                    async with pool.connection() as connection:
                        await budgets.forget(connection)
            except psycopg.Error as error:
                logger.warning("requests are counted by this process alone: %s", error)


def too_many(rate: float, burst: float, left: float) -> Problem:
    """Return the 429 of a caller that has `left` of its requests, less than one."""
    wait = math.ceil(max(1.0, (1 - left) / rate)) if rate else 1
    return Problem(
        429,
        f"Too many requests: at most {rate:g} a second are allowed here, {burst:g} at once.",
        headers={
            "retry-after": str(wait),
            "ratelimit-policy": f'"requests";q={burst:g};w={math.ceil(burst / rate)}',
            "ratelimit": f'"requests";r=0;t={wait}',
            "ratelimit-limit": f"{burst:g}",
            "ratelimit-remaining": "0",
            "ratelimit-reset": str(wait),
        },
    )

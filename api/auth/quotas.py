"""Quotas: a token bucket for each caller, filled at the caller's rate.

A request takes from the bucket in its own process, which costs a microsecond. Once a second each
process reports to the database what busy callers spent, and learns what they have left over all
processes. Within that second a caller may spend its burst at each process; it then waits longer, so
that the rate is kept over time.
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
"""Memory of all buckets; the least recently used one is evicted first."""

BUCKET_BYTES = 512
"""Memory of one bucket with its key, rounded up."""

TOLD_SECONDS = 1.0
"""How often a process reports to the database."""

_FORGOTTEN_SECONDS = 60.0

_BUSY = 0.25
"""The share of its rate below which a caller is counted by this process alone."""

_CALLER_BYTES = 16


@dataclass(slots=True)
class _Bucket:
    """A caller's bucket in this process, and what was spent since the last report."""

    rate: float
    burst: float
    left: float
    at: float
    spent: float = 0.0


def caller_of(project: str, key_id: str | None, user_id: str | None) -> bytes:
    """Return the key of a caller's bucket: a hash, so that it reveals nothing."""
    kind, name = ("user", user_id) if key_id is None else ("key", key_id)
    return blake2b(f"{project}/{kind}/{name}".encode(), digest_size=_CALLER_BYTES).digest()


def bucket_of(what: str, project: str) -> bytes:
    """Return the key of a project's bucket for something else than requests."""
    return blake2b(f"{project}/{what}".encode(), digest_size=_CALLER_BYTES).digest()


class Quotas:
    """The buckets of one API process."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._most = max_bytes // BUCKET_BYTES
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: bytes, rate: float, burst: float, now: float) -> None:
        """Take one request from the caller's bucket.

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

    def left(self, caller: bytes, rate: float, burst: float, now: float) -> float:
        """Return what a bucket holds, as `take` would find it."""
        return self._bucket(caller, rate, burst, now).left

    def spend(self, caller: bytes, amount: float) -> None:
        """Take so much from a bucket that was looked at, though it may hold less."""
        bucket = self._buckets.get(caller)
        if bucket is not None:
            bucket.left -= amount
            bucket.spent += amount

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
        """Return what busy callers spent since the last call, and reset the counts of all."""
        told = []
        for caller, bucket in self._buckets.items():
            if bucket.spent >= max(1.0, _BUSY * bucket.rate * TOLD_SECONDS) or bucket.left < 0:
                told.append(budgets.Spent(caller, bucket.rate, bucket.burst, bucket.spent))
            bucket.spent = 0.0
        return told

    def settle(self, left: dict[bytes, float]) -> None:
        """Set callers' buckets to what they have left over all processes."""
        for caller, over_all in left.items():
            bucket = self._buckets.get(caller)
            if bucket is not None:
                bucket.left = min(over_all - bucket.spent, bucket.burst)

    async def run(self, pool: AsyncConnectionPool[AsyncConnection]) -> None:
        """Report to the database every second until cancelled.

        Without a database this process counts alone.
        """
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
    """Return the 429 of a caller whose bucket has `left` requests, less than one."""
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

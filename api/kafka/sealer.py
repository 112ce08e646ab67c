"""Sealing members' fields before they are written into inputs, which keep their records for ever.

Each process follows ``member-keys``, so it knows the key of a member, and when that is removed. It
makes a key where there is none; what another process does at the same time gives a second key,
which does no harm: records name theirs.
"""

import asyncio
import logging
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from api.kafka.processor_client import TIMEOUT_SECONDS, unavailable
from schemas import records, sealing
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.member_keys import MemberKeysReader
from schemas.records import Owner
from schemas.sealing import MemberKey
from schemas.settings import Settings
from schemas.topics import MEMBER_KEYS, partition_for

logger = logging.getLogger(__name__)

START_SECONDS = 10
"""How long a process that starts waits for the keys. Members whose keys it has not come to by then
may be given another."""
MOST_FORGOTTEN = 10_000
"""Members of whom a process remembers where their keys end, 200 bytes each: once the command is
folded those keys are gone."""


class _Made(NamedTuple):
    """A key that this process made, and its record's offset."""

    key: MemberKey
    partition: int
    offset: int


class Sealer:
    """Seals the fields of members."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._reader = MemberKeysReader(settings)
        self._partitions = range(settings.partitions)
        self._making: dict[str, asyncio.Task[MemberKey]] = {}
        self._made: dict[str, _Made] = {}
        """By member, the oldest first: keys that were not read on the topic yet."""
        self._first: dict[str, int] = {}
        """By member that is being forgotten, the oldest first: the offset from which on its keys
        stay."""
        self._caught_up = asyncio.Event()

    async def run(self) -> None:
        """Follow the keys until cancelled.

        Raises:
            KeysUnreadable, KafkaError: they cannot be read.
        """
        async with self._reader:
            await self._reader.read(self._partitions)
            self._caught_up.set()
            while True:
                await self._reader.follow(self._partitions)

    async def started(self, running: "asyncio.Task[None]") -> None:
        """Wait until the keys are known, or for some seconds; ``running`` is ``run``.

        Raises:
            KeysUnreadable, KafkaError: they cannot be read.
        """
        known = asyncio.create_task(self._caught_up.wait())
        await asyncio.wait(
            {running, known}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        known.cancel()
        if running.done():
            running.result()
        elif not self._caught_up.is_set():
            logger.warning("the keys of members are still being read")

    def fault(self) -> str | None:
        """Return why the reader of keys works no more; None where it does."""
        return self._reader.fault()

    async def seal(self, member_id: str, owner: Owner, *, dry_run: bool = False) -> None:
        """Put the sealed text in the place of a member's fields, where any is given.

        A dry run carries only what rules may look at, and makes no key.

        Raises:
            Problem: 503, the broker does not take the member's first key.
        """
        if not sealing.has_fields(owner):
            return
        if dry_run:
            text = sealing.sealed(member_id, owner, self._dry_run_key(member_id), sealing.FOR_RULES)
        else:
            text = sealing.sealed(member_id, owner, await self._key(member_id))
        records.seal(owner, text)

    async def forgetting(self, member_id: str) -> int:
        """Return where the keys of a member end that a command is about to forget: whatever is
        sealed from now on is sealed under a key that is written behind.

        Raises:
            Problem: 503, the broker does not say.
        """
        partition = partition_for(member_id, self._settings.partitions)
        place = self._reader.place(partition)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), EndOffsets(self._settings) as asking:
                end = (await asking.of([place]))[place]
        except (KafkaError, TimeoutError) as error:
            logger.warning("cannot ask for members' keys: %s", str(error) or type(error).__name__)
            raise unavailable() from error
        self._use_from(member_id, end)
        return end

    def _use_from(self, member_id: str, offset: int) -> None:
        self._making.pop(member_id, None)  # it may come to lie before
        self._first.pop(member_id, None)
        self._first[member_id] = offset
        if len(self._first) > MOST_FORGOTTEN:
            del self._first[next(iter(self._first))]

    def kept(self, member_id: str) -> None:
        """Go on with a member's keys: it was not forgotten."""
        self._first.pop(member_id, None)

    def _dry_run_key(self, member_id: str) -> MemberKey:
        return sealing.dry_run_key(self._master_key(), member_id)

    def _master_key(self) -> bytes:
        master_key = self._settings.master_key
        assert master_key is not None  # the API does not start without
        return master_key

    async def _key(self, member_id: str) -> MemberKey:
        """Return a key of a member that was written; make one where there is none."""
        partition = partition_for(member_id, self._settings.partitions)
        keys = self._reader.of(partition)
        first = self._first.get(member_id, 0)
        known = None if keys is None else keys.key(member_id, first)
        if known is not None:
            return known
        made = self._made.get(member_id)
        if made is not None and made.offset >= first and not self._was_read(made):
            return made.key
        making = self._making.get(member_id)
        if making is None:
            making = asyncio.create_task(self._make(member_id, partition))
            self._making[member_id] = making
            making.add_done_callback(lambda _: self._making.pop(member_id, None))
        return await asyncio.shield(making)

    def _was_read(self, made: _Made) -> bool:
        return self._reader.reached(made.partition) > made.offset

    async def _make(self, member_id: str, partition: int) -> MemberKey:
        """Make a key, and write it before anything is sealed under it.

        Raises:
            Problem: 503, the broker does not take it.
        """
        key = sealing.new_key()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                written = await self._producer.send_and_wait(
                    self._settings.topic(MEMBER_KEYS),
                    sealing.wrapped(self._master_key(), member_id, key),
                    key=sealing.key_place(member_id, key.id),
                    partition=partition,
                )
        except (KafkaError, TimeoutError) as error:
            logger.warning("cannot write a member's key: %s", str(error) or type(error).__name__)
            raise unavailable() from error
        while self._made and self._was_read(next(iter(self._made.values()))):
            del self._made[next(iter(self._made))]
        self._made[member_id] = _Made(key, partition, written.offset)
        return key

"""The reader of ``member-keys``: the keys that members' fields are sealed under.

There may be millions of them, so they are kept in a temporary SQLite database, of which memory
holds the pages that are used. It lives as long as its reader: whoever starts reads the topic anew,
and never has a key that was removed while it was away.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import sealing
from schemas.kafka import consumers
from schemas.kafka.end_offsets import EndOffsets
from schemas.kafka.health import check, consumer_fault
from schemas.records import Profile
from schemas.sealing import MemberKey, SealError
from schemas.settings import Settings
from schemas.topics import MEMBER_KEYS

logger = logging.getLogger(__name__)

POLL_MS = 200
MAX_RECORDS = 2_000
"""That are applied between two awaits."""
CACHE_KIB = 8 * 1024

SHOWN = 20
"""How many records that do not open are logged one by one."""

Row = tuple[str, str, bytes | None] | tuple[str, str, bytes | None, int]
"""A member's id, a key's id, the key's record (None removes it), and its offset."""


class KeysUnreadable(RuntimeError):
    """Keys are there that cannot be used; the message says why. Who folds must not go on: what it
    cannot open it would take as absent."""


_SCHEMA = """
CREATE TABLE keys (
    partition INTEGER, member BLOB, id TEXT, value BLOB NOT NULL, offset INTEGER NOT NULL,
    PRIMARY KEY (partition, member, id)
) WITHOUT ROWID
"""
_PUT = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM keys WHERE partition = ? AND member = ? AND id = ?"
_DROP = "DELETE FROM keys WHERE partition = ?"
_GET = "SELECT id, value FROM keys WHERE partition = ? AND member = ? AND id = ? AND offset >= ?"
_FIRST = "SELECT id, value FROM keys WHERE partition = ? AND member = ? AND offset >= ? ORDER BY id"
_IDS = "SELECT id FROM keys WHERE partition = ? AND member = ? AND offset < ? ORDER BY id"
_ANY = "SELECT 1 FROM keys LIMIT 1"
_ALL = 2**63 - 1


class PartitionKeys:
    """The keys of one partition's members. All of its methods raise ``sqlite3.Error`` where the
    disk does not do its part."""

    def __init__(self, database: sqlite3.Connection, partition: int, master_key: bytes) -> None:
        self._execute = database.execute
        self._partition = partition
        self._master_key = master_key

    def drop(self) -> None:
        """Forget all of them."""
        self._execute(_DROP, (self._partition,))

    def apply(self, rows: Iterable[Row]) -> None:
        """Keep and remove keys, in their order."""
        self._execute("BEGIN")
        for member_id, key_id, value, *offset in rows:
            place = self._partition, _packed(member_id), key_id
            if value is None:
                self._execute(_REMOVE, place)
            else:
                self._execute(_PUT, (*place, value, *(offset or (0,))))
        self._execute("COMMIT")

    def opened(self, member_id: str, sealed: str, first: int = 0) -> Profile | None:
        """Return a member's sealed fields; None where they cannot be opened, or their key was
        written before the offset ``first``.

        Raises:
            KeysUnreadable: their key is there, and is damaged or under another master key.
        """
        key_id = sealing.key_id_of(sealed)
        place = self._partition, _packed(member_id), key_id, first
        found = self._execute(_GET, place).fetchone()
        if found is None:
            return None
        try:
            key = sealing.unwrapped(self._master_key, member_id, *found)
        except SealError as error:
            raise KeysUnreadable(
                f"the key {key_id} of member {member_id} does not open with MILESTREAM_MASTER_KEY"
            ) from error
        return sealing.opened(member_id, sealed, key)

    def key(self, member_id: str, first: int = 0) -> MemberKey | None:
        """Return one of a member's keys, of those from offset ``first`` on: the same, as long as it
        is there and no other is made. Those that do not open are passed over."""
        place = self._partition, _packed(member_id), first
        for key_id, value in self._execute(_FIRST, place):
            with contextlib.suppress(SealError):
                return sealing.unwrapped(self._master_key, member_id, key_id, value)
        return None

    def key_ids(self, member_id: str, end: int | None = None) -> Sequence[str]:
        """Return the ids of a member's keys, in their order; of those before offset ``end`` where
        it is given."""
        place = self._partition, _packed(member_id), _ALL if end is None else end
        return [key_id for (key_id,) in self._execute(_IDS, place)]


def _packed(member_id: str) -> bytes:
    return bytes.fromhex(member_id.replace("-", ""))


class MemberKeysReader:
    """Keeps the keys of some partitions up to date from the topic.

    One reader belongs to one event loop. It connects once it has something to read.
    """

    def __init__(
        self, settings: Settings, held: Callable[[], Collection[int]] | None = None
    ) -> None:
        """``held`` tells the partitions whose keys are kept, where it is not all that were read."""
        self._settings = settings
        self._topic = settings.topic(MEMBER_KEYS)
        self._held = held
        self._consumer: AIOKafkaConsumer | None = None
        self._database = database()
        self._reached: dict[int, int] = {}
        """By partition that is read, the offset up to which it was, exclusive."""
        self._lock = asyncio.Lock()
        self.refused = 0
        """How many records of the topic were no keys."""
        self.shut = 0
        """How many were keys that did not open: damaged, or under another master key."""
        self._opens = False
        """Whether any key did."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        self._database.close()

    def fault(self) -> str | None:
        """Return why it works no more; None where it does."""
        return None if self._consumer is None else consumer_fault(self._consumer)

    def place(self, partition: int) -> TopicPartition:
        """Return where a partition's keys are."""
        return TopicPartition(self._topic, partition)

    def of(self, partition: int) -> PartitionKeys | None:
        """Return the keys of a partition, as far as they were read; None without a master key."""
        master_key = self._settings.master_key
        if master_key is None:
            return None
        return PartitionKeys(self._database, partition, master_key)

    def reached(self, partition: int) -> int:
        """Return the offset up to which a partition's keys were read, exclusive."""
        return self._reached.get(partition, 0)

    def places_of(self, partition: int, member_id: str, end: int | None = None) -> Sequence[bytes]:
        """Return the keys that the records of a member's keys have on the topic; of those before
        offset ``end`` where it is given."""
        keys = self.of(partition)
        if keys is None:
            return ()
        return [sealing.key_place(member_id, key_id) for key_id in keys.key_ids(member_id, end)]

    def remove(self, partition: int, places: Iterable[bytes]) -> None:
        """Stop using keys whose removal was written a moment ago, as `places_of` names them; it is
        read on the topic in its time."""
        named = [named for place in places if (named := sealing.split_key_place(place))]
        if named and (keys := self.of(partition)) is not None:
            keys.apply([(member_id, key_id, None) for member_id, key_id in named])

    async def read(self, partitions: Collection[int]) -> None:
        """Read the keys of partitions to where they end now.

        Raises:
            KeysUnreadable, KafkaError: they cannot be read.
        """
        places = [self.place(partition) for partition in partitions]
        async with EndOffsets(self._settings) as asking:
            ends = await asking.of(places)
        await self.catch_up({place.partition: end for place, end in ends.items()})

    async def catch_up(self, ends: Mapping[int, int]) -> None:
        """Read the keys of partitions up to these offsets.

        It may take as long as a transaction is open: whoever calls it has a deadline.

        Raises:
            KeysUnreadable, ClientStopped: they cannot be read.
        """
        for partition, end in ends.items():
            while self.reached(partition) < end:
                await self.follow(ends, partition, end)
        self.require_opened()

    def require_opened(self) -> None:
        """Check that not all keys are shut: then it is the master key that is another.

        Raises:
            KeysUnreadable: they are.
        """
        if self.shut and not self._opens and self._database.execute(_ANY).fetchone():
            raise KeysUnreadable(
                f"{self._topic}: MILESTREAM_MASTER_KEY is not the one that the keys of members are "
                "under"
            )

    async def follow(self, partitions: Collection[int], awaited: int = -1, end: int = 0) -> None:
        """Read what comes within 0.2 s, as soon as something does; nothing where the ``awaited``
        partition was read up to ``end`` meanwhile.

        Raises:
            KeysUnreadable, ClientStopped: they cannot be read.
        """
        async with self._lock:
            if 0 < end <= self.reached(awaited):
                return
            consumer = await self._following(set(partitions))
            check(consumer)
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            for place, records in batches.items():
                if place.partition in self._reached and (keys := self.of(place.partition)):
                    keys.apply(list(self._rows(records)))
            for partition in self._reached:
                self._reached[partition] = int(await consumer.position(self.place(partition)))

    async def _following(self, partitions: set[int]) -> AIOKafkaConsumer:
        """Return the consumer, which reads these partitions beside those that it reads already."""
        master_key = self._settings.master_key
        if master_key is None:
            raise KeysUnreadable(
                f"{self._topic} has keys of members: MILESTREAM_MASTER_KEY must be set, to what "
                "the API has"
            )
        consumer = self._consumer
        if consumer is None:
            consumer = self._consumer = _consumer(self._settings)
            await consumer.start()
        read = self._reached.keys()
        wanted = partitions | (read if self._held is None else read & set(self._held()))
        if wanted == read:
            return consumer
        for partition in read - wanted:
            PartitionKeys(self._database, partition, master_key).drop()
            del self._reached[partition]
        for partition in wanted - read:
            self._reached[partition] = 0
        consumer.assign([self.place(partition) for partition in wanted])
        for partition in wanted:
            consumer.seek(self.place(partition), self._reached[partition])
        return consumer

    def _rows(self, records: Iterable[Any]) -> Iterable[Row]:
        """Yield what records of the topic say, without those that are no keys."""
        for record in records:
            place = sealing.split_key_place(record.key)
            if place is None or not self._is_key(*place, record):
                self.refused += 1
                logger.warning(
                    "%s, partition %d, offset %d: refused, it is no key of a member",
                    self._topic,
                    record.partition,
                    record.offset,
                )
            else:
                yield *place, record.value, record.offset

    def _is_key(self, member_id: str, key_id: str, record: Any) -> bool:
        """Tell whether a record is a key, or the end of one. One that does not open is kept: who
        needs it must not take what is sealed under it as absent."""
        if record.value is None:
            return True
        assert self._settings.master_key is not None
        try:
            sealing.unwrapped(self._settings.master_key, member_id, key_id, record.value)
        except SealError:
            self.shut += 1
            if self.shut <= SHOWN:
                logger.warning(
                    "%s, partition %d, offset %d: the key does not open: it is damaged, or under "
                    "another master key",
                    self._topic,
                    record.partition,
                    record.offset,
                )
        except ValueError:
            return False
        else:
            self._opens = True
        return True


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    return consumers.consumer(
        settings,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=250,
    )


def database() -> sqlite3.Connection:
    """Return a database without a name: SQLite deletes its file as soon as it is opened."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA secure_delete = ON")
    database.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
    database.execute(_SCHEMA)
    return database

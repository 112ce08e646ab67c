"""Sealing what an import writes of members: inputs keep their records for ever.

Keys are looked up where a line first has a member's fields, and followed from one transaction to
the next. Those that are made are written by a producer of their own before the records that need
them: where the import ends in between, nothing is sealed under them, which does no harm.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaProducer
from msgspec import Raw

from deploy.errors import CommandError
from deploy.importing.checking import BadRecord
from processor.domain.inputs import Read
from schemas import sealing
from schemas.json_limits import BOM
from schemas.kafka import sequences
from schemas.kafka.member_keys import KeysUnreadable, MemberKeysReader
from schemas.records import PROFILE_FIELDS, ChallengeLog, Owner
from schemas.sealing import MemberKey
from schemas.settings import Settings, variable
from schemas.topics import MAX_RECORD_BYTES, MEMBER_KEYS

_OWNED_BY = "ownedBy"
_ON_THE_WIRE = frozenset(PROFILE_FIELDS.values())
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


class NewKey(NamedTuple):
    """A record for ``member-keys``."""

    partition: int
    place: bytes
    value: bytes


class Sealing:
    """Seals the records of one import. ``sealed`` is called in a thread, one call at a time."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._settings = settings
        self._partitions = partitions
        self._reader = MemberKeysReader(settings)
        self._producer: AIOKafkaProducer | None = None
        self._loop = asyncio.get_running_loop()
        self._knows_keys = False
        """Whether the keys were read for the lines that are collected now."""
        self._new: list[NewKey] = []

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._reader.__aexit__(exc_type, exc, traceback)
        if self._producer is not None:
            await self._producer.stop()

    def sealed(self, found: Read, value: bytes, partition: int) -> bytes:
        """Return a line's record, of this partition, with its member's fields sealed, where it has
        any.

        Raises:
            BadRecord: it is too large with them.
            CommandError: keys cannot be read, or not be made.
        """
        record = found.record
        owner = record.owned_by if isinstance(record, ChallengeLog) else record
        if not isinstance(owner, Owner) or not sealing.has_fields(owner):
            return value
        text = sealing.sealed(found.member_id, owner, self._key(found.member_id, partition))
        fields = _FIELDS.decode(value.removeprefix(BOM))
        if owner is record:
            after = _with_sealed(fields, text)
        else:
            inline = _with_sealed(_FIELDS.decode(fields[_OWNED_BY]), text)
            after = {**fields, _OWNED_BY: Raw(msgspec.json.encode(inline))}
        value = msgspec.json.encode(after)
        if len(value) + len(found.member_id) > MAX_RECORD_BYTES:
            raise BadRecord(f"the record is larger than {MAX_RECORD_BYTES} bytes once it is sealed")
        return value

    def take_new(self) -> Sequence[NewKey]:
        """Return the keys that were made since the last call; the next lines look at the topic
        again."""
        new, self._new = self._new, []
        self._knows_keys = False
        return new

    async def write(self, keys: Sequence[NewKey]) -> None:
        """Write keys, and wait until all replicas have them.

        Raises:
            KafkaError: the broker does not take them.
        """
        if not keys:
            return
        if self._producer is None:
            sequences.install()
            producer = AIOKafkaProducer(
                **self._settings.kafka_options(), enable_idempotence=True, acks="all", linger_ms=5
            )
            await producer.start()
            self._producer = producer
        topic, send = self._settings.topic(MEMBER_KEYS), self._producer.send
        sent = [
            await send(topic, each.value, key=each.place, partition=each.partition) for each in keys
        ]
        await asyncio.gather(*sent)

    def _key(self, member_id: str, partition: int) -> MemberKey:
        """Return a key of a member; make one where there is none."""
        master_key = self._settings.master_key
        if master_key is None:
            raise CommandError(
                f"{variable('master_key')} must be set, to what the API has: names and other "
                "personal fields are written only sealed"
            )
        if not self._knows_keys:
            asyncio.run_coroutine_threadsafe(self._read_keys(), self._loop).result()
        keys = self._reader.of(partition)
        assert keys is not None
        known = keys.key(member_id)
        if known is not None:
            return known
        key = sealing.new_key()
        value = sealing.wrapped(master_key, member_id, key)
        keys.apply([(member_id, key.id, value)])
        self._new.append(NewKey(partition, sealing.key_place(member_id, key.id), value))
        return key

    async def _read_keys(self) -> None:
        try:
            await self._reader.read(range(self._partitions))
        except KeysUnreadable as error:
            raise CommandError(str(error)) from error
        self._knows_keys = True


def _with_sealed(fields: dict[str, Raw], text: str | None) -> dict[str, Raw]:
    """Return a member's fields with the sealed ones in the place of the personal ones."""
    others = {name: value for name, value in fields.items() if name not in _ON_THE_WIRE}
    return {**others, "sealed": Raw(msgspec.json.encode(text))}

"""What was redriven, as it stands now: read on from where it was read to the last time."""

import asyncio

from aiokafka.errors import KafkaError

from api.dead_letters.redriven import Redriven
from api.kafka.processor_client import TIMEOUT_SECONDS, unavailable
from api.kafka.record_reader import RecordReader, Removed
from schemas.settings import Settings
from schemas.topics import MIB, positions_topic


class RedrivenWatch:
    """The positions of redrives, kept in memory: as many as there were filters, and letters that
    were chosen or could not be sent, of some 60 bytes each."""

    def __init__(self, settings: Settings, records: RecordReader) -> None:
        self._records = records
        self._place = records.place(positions_topic(settings.application_id).name, 0)
        self._positions: dict[str, bytes] = {}
        self._next = 0
        self._reading = asyncio.Lock()

    async def current(self) -> Redriven:
        """Return what every redrive has committed that returned before this call.

        Raises:
            Problem: 503, the broker does not answer.
        """
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._reading:
                await self._catch_up()
        except (KafkaError, TimeoutError) as error:
            raise unavailable() from error
        return Redriven(self._positions)

    async def _catch_up(self) -> None:
        end = await self._records.end(self._place)
        while self._next < end:
            try:
                fetched = await self._records.fetch(self._place, self._next, MIB)
            except Removed:
                self._next = (await self._records.begins([self._place]))[self._place]
                continue
            for record in fetched.records:
                self._keep(record.key.decode("utf-8", "replace"), record.value)
            if fetched.next_offset <= self._next:
                return  # nothing but what is not committed yet
            self._next = fetched.next_offset

    def _keep(self, key: str, value: bytes | None) -> None:
        if not key.startswith("redrive"):
            return
        if value is None:
            self._positions.pop(key, None)
        else:
            self._positions[key] = value

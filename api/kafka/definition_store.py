"""Reads the definitions, and writes them one at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.http.problems import Problem, invalid, not_found
from api.kafka.definition_history import DefinitionHistory
from api.kafka.processor_client import BROKER_AWAY, TIMEOUT_SECONDS, unavailable
from api.kafka.single_flight import SingleFlight
from api.queries import operations as queries
from schemas import definitions as models
from schemas.definition_records import actor_headers
from schemas.definition_set import DefinitionSet, Stored
from schemas.kafka.definitions_reader import DefinitionSetReader
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

logger = logging.getLogger(__name__)

MAX_WRITES = 3
"""Concurrent writes in one process. Each holds a connection of the pool while it waits for its lock
and for the broker; the other connections are for reads."""

_UNDER_WAY = 1000
"""More writes than all API processes together can have under way."""

_MAX_ID = 256
"""Characters of an id; a longer one is not looked up."""

FOLLOW_SECONDS = 1.0
"""The greatest age of the limits that requests are judged by."""

_NOT_CONFIRMED = (
    "The broker did not confirm the write: it may be in force; look before trying again."
)
_NOT_READ_BACK = (
    "The write was taken, but not read back: it may be in force; look before trying again."
)

Judge = Callable[[Stored | None], models.Definition | None]
"""Given the stored definition, returns the one to write; None deletes. Raises `Problem` to
refuse."""


class DefinitionStore:
    """The definitions of all projects, as they stand on the topic `definitions`.

    A write reads the stored definition and then produces, so writers of one definition take turns
    by a lock in the database, which all API processes share. When a write returns, this process and
    every reader of the topic's end sees it.
    """

    def __init__(
        self,
        settings: Settings,
        pool: AsyncConnectionPool[AsyncConnection],
        reader: DefinitionSetReader[DefinitionHistory],
        producer: AIOKafkaProducer,
    ) -> None:
        self._topic = settings.topic(DEFINITIONS)
        self._pool = pool
        self._reader = reader
        self._producer = producer
        self._writing = asyncio.Semaphore(MAX_WRITES)
        self._committed_end = SingleFlight(reader.committed_end)

    async def current(self) -> DefinitionSet:
        """Return the committed definitions, which include every write that returned.

        An open transaction of somebody else does not delay this.

        Raises:
            Problem: 503, the broker does not answer.
        """
        async with _broker_at_hand():
            await self._reader.catch_up(await self._committed_end())
        return self._reader.definitions

    async def _latest(self) -> DefinitionSet:
        """Return the definitions with every write that was acknowledged before this call.

        Raises:
            Problem: 503, the broker does not answer, or what was acknowledged stands behind a
                transaction that stays open.
        """
        async with _broker_at_hand():
            await self._reader.catch_up()
        return self._reader.definitions

    @property
    def history(self) -> DefinitionHistory:
        """Which definitions were in force when, as far as they were read."""
        return self._reader.definitions

    @property
    def followed(self) -> DefinitionSet:
        """The definitions, at most a second old."""
        return self._reader.definitions

    def limits(self, project: str) -> models.Limits:
        """Return a project's limits, at most a second old."""
        return self.followed.limits(project)

    async def follow(self) -> None:
        """Follow the topic until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.current()
            except Problem:  # logged; the definitions read so far stay in force
                continue

    async def write(
        self,
        project: str,
        kind: str,
        definition_id: str,
        judge: Judge,
        *,
        actor: str | None = None,
    ) -> tuple[Stored | None, Stored | None]:
        """Write what `judge` makes of the stored definition; return (before, after).

        An unchanged definition is not written again. `actor` is who writes it, where that is said.

        Raises:
            Problem: the judge's, a milestone's challenge that is not there, more than the bounds
                and the project's limits let it have, or 503.
        """
        if len(definition_id) > _MAX_ID:
            raise not_found(kind, definition_id)
        key = models.definition_key(project, kind, definition_id)
        async with self._a_turn(), self._locked(project, kind, key):
            definitions = await self._latest()
            before = definitions.get(project, kind, definition_id)
            definition = judge(before)
            if definition is not None:
                check_link(definitions, project, definition)
                check_room(definitions, project, definition)
            if definition == (before.definition if before else None):
                return before, before
            if before is None:
                check_count(definitions, project, kind)
            value = None
            if definition is not None:
                value = models.encode(definition)
                check_bytes(definitions, project, definition, len(value))
            await self._produce(key, value, actor)
            after = definitions.get(project, kind, definition_id)
            if definition is not None and (after is None or after.definition != definition):
                # Another write took the last place, or the last bytes.
                check_room(definitions, project, definition)
                check_bytes(definitions, project, definition, len(value or b""))
            return before, after

    @asynccontextmanager
    async def _locked(self, project: str, kind: str, key: str) -> AsyncIterator[None]:
        """Keep others from writing the same definition, and any more of a kind that is nearly full:
        those that are under way are not counted yet.

        Raises:
            Problem: 503, the broker does not answer.
        """
        names = [queries.definition_lock(self._topic, key)]
        if _is_nearly_full(await self.current(), project, kind):
            names.append(queries.kind_lock(self._topic, project, kind))
        async with self._pool.connection() as connection, connection.transaction():
            await queries.lock(connection, *names)
            yield

    @asynccontextmanager
    async def _a_turn(self) -> AsyncIterator[None]:
        """Wait until fewer than `MAX_WRITES` are under way.

        Raises:
            Problem: 503, they take too long.
        """
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._writing.acquire()
        except TimeoutError as error:
            raise unavailable("Too many definitions are being written; try again.") from error
        try:
            yield
        finally:
            self._writing.release()

    async def _produce(self, key: str, value: bytes | None, actor: str | None) -> None:
        async with _broker_at_hand(_NOT_CONFIRMED):
            sent = await self._producer.send_and_wait(
                self._topic, value, key=key.encode(), partition=0, headers=actor_headers(actor)
            )
        async with _broker_at_hand(_NOT_READ_BACK):
            await self._reader.catch_up(sent.offset + 1)


@asynccontextmanager
async def _broker_at_hand(detail: str = BROKER_AWAY) -> AsyncIterator[None]:
    """Turn the broker's errors and timeouts into a 503 with this message."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield
    except (KafkaError, TimeoutError) as error:
        logger.warning("definitions: %s", str(error) or type(error).__name__)
        raise unavailable(detail) from error


def check_link(definitions: DefinitionSet, project: str, definition: models.Definition) -> None:
    """Refuse a milestone whose challenge does not exist.

    Raises:
        Problem: 400 naming `linkedSchemaRecordId`.
    """
    if isinstance(definition, models.Milestone) and definition.linked_schema_slug == "challenge":
        linked = definition.linked_schema_record_id
        if definitions.get(project, "challenge", linked) is None:
            raise invalid("linkedSchemaRecordId", "must be the id of a challenge that exists")


def check_room(definitions: DefinitionSet, project: str, definition: models.Definition) -> None:
    """Refuse a definition over the limits of an event's subscribers or of a challenge's milestones.

    Raises:
        Problem: 400 with the field at fault.
    """
    try:
        definitions.check_room(project, definition)
    except models.DefinitionError as error:
        raise _refused(definition.kind, error) from error


def _is_nearly_full(definitions: DefinitionSet, project: str, kind: str) -> bool:
    """Tell whether writes that are under way could together go over the limit of a kind."""
    most = definitions.limits(project).definitions_per_kind
    return definitions.count(project, kind) + _UNDER_WAY >= most


def check_count(definitions: DefinitionSet, project: str, kind: str) -> None:
    """Refuse a definition over the project's limit for its kind.

    Raises:
        Problem: 409.
    """
    most = definitions.limits(project).definitions_per_kind
    if kind != models.Project.kind and definitions.count(project, kind) >= most:
        detail = f"The project has {most} definitions of kind {kind}, and may have no more."
        raise Problem(409, detail, code="too_many_definitions")


def check_bytes(
    definitions: DefinitionSet, project: str, definition: models.Definition, size: int
) -> None:
    """Refuse a definition over the project's limit of bytes.

    Raises:
        Problem: 409.
    """
    try:
        definitions.check_bytes(project, definition, size)
    except models.DefinitionError as error:
        text = str(error)
        detail = f"{text[:1].upper()}{text[1:]}."
        raise Problem(409, detail, code="too_many_definition_bytes") from error


def parsed(kind: str, fields: dict[str, object]) -> models.Definition:
    """Return the definition of these fields; null counts as absent.

    Raises:
        Problem: 400 with every field at fault.
    """
    try:
        return models.parse(kind, {n: value for n, value in fields.items() if value is not None})
    except models.DefinitionError as error:
        raise _refused(kind, error) from error


def _refused(kind: str, error: models.DefinitionError) -> Problem:
    detail = f"The {kind} is not as it should be: {error}."
    return Problem(400, detail, errors=[e for e in error.errors if e[0]])


def without(fields: dict[str, object], expected: dict[str, str]) -> dict[str, object]:
    """Return the fields without those that only repeat the request's path or credentials.

    Raises:
        Problem: 400, one says something else.
    """
    for name, value in expected.items():
        if fields.get(name) not in (None, value):
            raise invalid(name, f"must be {value!r} here, or left out")
    return {name: value for name, value in fields.items() if name not in expected}

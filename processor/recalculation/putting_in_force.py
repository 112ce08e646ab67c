"""Putting the definitions in force that a recalculation goes by."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from processor.definitions import DefinitionsReader
from processor.domain.definitions import Definitions
from processor.recalculation.running import definitions_at
from processor.recalculation.unchanged import require_unchanged
from processor.recalculation.wanted import UnknownChallenge, Wanted, put_on_top
from schemas import definitions as models
from schemas.definition_records import actor_headers
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

TRANSACTION_MS = 10_000
"""The broker aborts what a process that stands still has open for so long: before anybody else may
take the recalculation over, or cancel it."""
TRIES = 5

Holds = Callable[[], Awaitable[None]]
"""Checks whether the recalculation is the caller's still; raises where it is not."""


class Overtaken(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """Others wrote definitions meanwhile."""


class NotTaken(Exception):
    """A definition cannot be put in force; the message says which, and why."""


async def put_in_force(
    settings: Settings, wanted: Wanted, holds: Holds, actor: str | None = None
) -> int:
    """Put the definitions that are wanted in force, all or none, where those that they take the
    place of are as they were by ``wanted.definitions_end``; return the offset of their topic after
    which they are.

    Those that are in force already are not written again. ``holds`` is asked before the others
    are: what it raises leaves none of them in force. ``actor`` is who writes them.

    Raises:
        DefinitionsChanged: there are others by now.
        NotTaken: one does not fit those that are in force.
        KafkaError: the broker does not take them, or does not say so.
    """
    was = await definitions_at(settings, wanted.definitions_end)
    for _ in range(TRIES):
        with suppress(Overtaken):
            return await _put_on_top_of(was, settings, wanted, holds, actor)
    raise Overtaken


async def _put_on_top_of(
    was: Definitions, settings: Settings, wanted: Wanted, holds: Holds, actor: str | None
) -> int:
    """Do it once.

    Raises:
        Overtaken: others wrote definitions meanwhile; nothing was done.
    """
    async with DefinitionsReader(settings) as reader:
        await reader.catch_up()
    require_unchanged(wanted, was, reader.definitions)
    end = reader.definitions.next_offset
    changes = _changes(wanted, reader.definitions)
    if not changes:
        return end
    async with _transaction(settings) as producer:
        topic = settings.topic(DEFINITIONS)
        offsets = await _write(producer, topic, wanted.project, changes, actor)
        if min(offsets) != end:
            raise Overtaken
        # Last: whoever stands still after this loses the transaction to the broker before anybody
        # else may act.
        await holds()
    return max(offsets) + 1


def _changes(wanted: Wanted, in_force: Definitions) -> list[models.Definition]:
    """Return the definitions that are not in force yet, and put them there: in ``in_force``.

    Raises:
        NotTaken: one does not fit those that are in force.
    """
    project = wanted.project
    changes = [each for each in wanted.definitions if not _is_in_force(in_force, project, each)]
    created = [each for each in changes if in_force.get(project, each.kind, each.id) is None]
    _put(in_force, project, changes)
    _check_counts(in_force, project, created)
    return changes


def _is_in_force(in_force: Definitions, project: str, definition: models.Definition) -> bool:
    stored = in_force.get(project, definition.kind, definition.id)
    return stored is not None and stored.definition == definition


def _put(in_force: Definitions, project: str, changes: Sequence[models.Definition]) -> None:
    """Check that definitions fit those that are in force, by putting them on top."""
    try:
        put_on_top(Wanted(project=project, definitions=changes), in_force)
    except models.DefinitionError as error:
        faults = "; ".join(f"{field}: {text}" if field else text for field, text in error.errors)
        raise NotTaken(faults) from error
    except UnknownChallenge as error:
        raise NotTaken(f"there is no challenge {error}") from error


def _check_counts(
    in_force: Definitions, project: str, created: Sequence[models.Definition]
) -> None:
    most = in_force.limits(project).definitions_per_kind
    for kind in {each.kind for each in created}:
        count = in_force.count(project, kind)
        if count > most:
            raise NotTaken(
                f"kind: project {project} would have {count} definitions of kind {kind}, and may "
                f"have {most}"
            )


async def _write(
    producer: AIOKafkaProducer,
    topic: str,
    project: str,
    definitions: Sequence[models.Definition],
    actor: str | None,
) -> list[int]:
    """Write definitions in the transaction that is open; return their offsets."""
    sent = [
        await producer.send(
            topic,
            models.encode(each),
            key=models.definition_key(project, each.kind, each.id).encode(),
            partition=0,
            headers=actor_headers(actor),
        )
        for each in definitions
    ]
    return [int((await future).offset) for future in sent]


@asynccontextmanager
async def _transaction(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer with an open transaction, which is committed in the end, or aborted."""
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic(settings.application_id)}-recalculation-{uuid.uuid4()}",
        transaction_timeout_ms=TRANSACTION_MS,
    )
    try:
        await producer.start()
        async with producer.transaction():
            yield producer
    finally:
        await producer.stop()

"""Putting the definitions in force that a recalculation goes by."""

import uuid
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from processor.definitions import DefinitionsReader
from processor.domain.definitions import Definitions
from processor.recalculation.wanted import UnknownChallenge, Wanted, put_on_top
from schemas import definitions as models
from schemas.definition_records import actor_headers
from schemas.settings import Settings
from schemas.topics import DEFINITIONS

TRANSACTION_MS = 10_000


class NotTaken(Exception):
    """A definition cannot be put in force; the message says which, and why."""


async def put_in_force(
    settings: Settings,
    project: str,
    definitions: Sequence[models.Definition],
    actor: str | None = None,
) -> int:
    """Put definitions in force, all or none; return the offset of their topic after which they are.

    Those that are in force already are not written again. ``actor`` is who writes them.

    Raises:
        NotTaken: one does not fit those that are in force.
        KafkaError: the broker does not take them, or does not say so.
    """
    async with DefinitionsReader(settings) as reader:
        await reader.catch_up()
        in_force = reader.definitions
        changes = [each for each in definitions if not _is_in_force(in_force, project, each)]
        if not changes:
            return in_force.next_offset
        created = [each for each in changes if in_force.get(project, each.kind, each.id) is None]
        _put(in_force, project, changes)  # this reader's own view of them
        _check_counts(in_force, project, created)
        return await _write(settings, project, changes, actor)


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
    settings: Settings,
    project: str,
    definitions: Sequence[models.Definition],
    actor: str | None,
) -> int:
    """Write definitions in one transaction; return the offset after the last one."""
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic(settings.application_id)}-recalculation-{uuid.uuid4()}",
        transaction_timeout_ms=TRANSACTION_MS,
    )
    try:
        await producer.start()
        async with producer.transaction():
            sent = [
                await producer.send(
                    settings.topic(DEFINITIONS),
                    models.encode(each),
                    key=models.definition_key(project, each.kind, each.id).encode(),
                    partition=0,
                    headers=actor_headers(actor),
                )
                for each in definitions
            ]
            offsets = [(await future).offset for future in sent]
        return int(max(offsets)) + 1
    finally:
        await producer.stop()

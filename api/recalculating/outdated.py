"""Whether the report that is to be applied was made from the definitions that are in force."""

import asyncio
import logging

from aiokafka.errors import KafkaError

from api.http.problems import Problem
from api.kafka.processor_client import BROKER_AWAY, unavailable
from api.recalculating.asking import Asked
from processor import recalculation as replaying
from processor.recalculation import DefinitionsChanged, Wanted
from schemas.definition_set import DefinitionSet
from schemas.settings import Settings

logger = logging.getLogger(__name__)

SECONDS = 10.0
CODE = "definitions_changed"


async def require_current(settings: Settings, asked: Asked, in_force: DefinitionSet) -> None:
    """Check that a report, whose request is asked for again, was made from what is in force.

    Raises:
        Problem: 409 `definitions_changed`; 503, the broker does not answer.
    """
    if asked.definitions_end is None:
        detail = "It is not known from which definitions this was reported; report it again."
        raise Problem(409, detail, code=CODE)
    wanted = Wanted(
        project=asked.project,
        definitions=asked.definitions,
        challenge_id=asked.challenge_id,
        definitions_end=asked.definitions_end,
    )
    try:
        async with asyncio.timeout(SECONDS):
            was = await replaying.definitions_at(settings, asked.definitions_end)
        replaying.require_unchanged(wanted, was, in_force)
    except DefinitionsChanged as error:
        detail = f"Definitions were changed since this was reported; report it again: {error}."
        raise Problem(409, detail, code=CODE) from error
    except (KafkaError, TimeoutError) as error:
        logger.warning("definitions cannot be looked at: %s", str(error) or type(error).__name__)
        raise unavailable(BROKER_AWAY) from error

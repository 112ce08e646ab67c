"""Whether the inputs of what is asked for are all still there."""

import asyncio
import logging

from aiokafka.errors import KafkaError

from api.http.problems import Problem
from api.kafka.processor_client import BROKER_AWAY, unavailable
from processor import recalculation as replaying
from processor.recalculation import InputsGone
from schemas.instants import format_instant
from schemas.settings import Settings

logger = logging.getLogger(__name__)

SECONDS = 10.0


async def require(settings: Settings) -> None:
    """Check that retention took none of the inputs.

    Raises:
        Problem: 422 `inputs_gone`, `more` has `since`, the time of the earliest from which on all
            are there, where that is known; 503, the broker does not answer.
    """
    try:
        async with asyncio.timeout(SECONDS):
            await replaying.require_inputs(settings)
    except InputsGone as gone:
        detail, more = f"Retention took inputs of it: {gone}", {}
        if gone.earliest is not None:
            more["since"] = format_instant(gone.earliest)
            detail += f"; the earliest from which on all are there is of {more['since']}"
        raise Problem(422, f"{detail}.", code="inputs_gone", more=more) from gone
    except (KafkaError, TimeoutError) as error:
        logger.warning("inputs cannot be looked for: %s", str(error) or type(error).__name__)
        raise unavailable(BROKER_AWAY) from error

"""`python -m api.recalculating.process ID OWNER`: the process that works at one recalculation.

An API process starts it, so that replaying history takes nothing from requests. It ends with its
parent, whose end of standard input closes then.
"""

import asyncio
import logging
import os
import sys
from uuid import UUID

import psycopg
from aiokafka.errors import KafkaError

from api.queries import recalculations as queries
from api.recalculating.lease import Lease, Lost, leased
from api.recalculating.parent import end_with_parent
from api.recalculating.run import GaveWay, Progress, Run, Unfolded
from processor.recalculation import (
    InputsGone,
    KeysUnread,
    NotRecalculable,
    NotTaken,
    UnknownChallenge,
)
from processor.recorded import FoldedByNewer, RecordMissing
from schemas.definitions import DefinitionError
from schemas.kafka.member_keys import KeysUnreadable
from schemas.process_logging import log_to_stderr
from schemas.settings import Settings

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 10
"""The pause before a recalculation is gone on with that servers or workers held up."""
_NICE = 10

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (InputsGone, "inputs_gone"),
    (RecordMissing, "inputs_gone"),
    (FoldedByNewer, "folded_by_newer"),
    (NotTaken, "not_taken"),
    # What was checked when it was asked for, and is otherwise by now.
    (DefinitionError, "not_taken"),
    (UnknownChallenge, "not_taken"),
    (NotRecalculable, "not_taken"),
    (KeysUnreadable, "keys_unreadable"),
    (KeysUnread, "keys_unreadable"),
)
"""Why a recalculation can never end well, and the code that says so."""


NOT_NOW = (
    Unfolded,
    KafkaError,
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""What holds a recalculation up, and may be over when it is gone on with."""


def code_of(error: Exception) -> str:
    """Return the code that says why a recalculation can never end well."""
    return next((code for type_, code in _CODES if isinstance(error, type_)), "internal")


async def go_on(
    settings: Settings, lease: Lease, progress: Progress, *, gives_way: bool = False
) -> None:
    """Work at a recalculation until it has ended, well or not; where it ``gives_way``, only as long
    as no other waits for room.

    Raises:
        GaveWay: another waits; it can be gone on with.
        Lost: it was cancelled, or another process works at it.
        Unfolded, KafkaError, psycopg.Error: those of `NOT_NOW`; it can be gone on with.
    """
    try:
        await lease.while_held(Run(settings, lease, progress, gives_way).to_the_end())
    except (Lost, GaveWay, *NOT_NOW):
        raise
    except Exception as error:
        code = code_of(error)
        if code == "internal":
            logger.exception("the recalculation %s failed", lease.id)
        else:
            logger.warning("the recalculation %s failed: %s", lease.id, error)
        async with lease.held():
            await queries.end(lease.connection, lease.id, "failed", code)


async def main(id_: UUID, owner: UUID) -> int:
    """Work at a recalculation that is this process' already; return the exit code."""
    settings = Settings.from_env()
    log_to_stderr(settings, {"aiokafka": logging.WARNING})
    try:
        async with leased(settings, id_, owner) as lease:
            await _work(lease, settings)
    except Lost:
        logger.info("the recalculation %s is not this process' any more", id_)
    except NOT_NOW as error:
        logger.warning("the recalculation %s is held up: %r", id_, error)
        return 1
    return 0


async def _work(lease: Lease, settings: Settings) -> None:
    try:
        await go_on(settings, lease, lambda _step, _done, _total: None, gives_way=True)
    except GaveWay:
        logger.info("the recalculation %s gives way to one that waits", lease.id)
        await lease.let_go()
    except NOT_NOW:
        await lease.let_go(AGAIN_SECONDS)
        raise


if __name__ == "__main__":
    os.nice(_NICE)
    end_with_parent()
    sys.exit(asyncio.run(main(UUID(sys.argv[1]), UUID(sys.argv[2]))))

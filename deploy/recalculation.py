"""`milestream recalculate`: beginning a recalculation, or going on with it, in this process."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

import psycopg
from aiokafka.errors import KafkaConnectionError, KafkaError
from psycopg import AsyncConnection

from api.http.problems import Problem
from api.queries import recalculations as queries
from api.recalculating import answers, asking, inputs
from api.recalculating.answers import RecalculationAnswer
from api.recalculating.asking import Asked, Begun
from api.recalculating.lease import Lost, connect, leased
from api.recalculating.process import go_on
from api.recalculating.run import Progress, Unfolded
from deploy import apply
from deploy.apply import Document
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.kafka_words import unreachable
from deploy.topics_create import check_topics
from projections.migrate import MigrationError, migrate
from schemas import definitions as models
from schemas.settings import Settings

_AGAIN = "give the same command again: it goes on"
_WAIT_SECONDS = queries.LEASE_SECONDS + 5
"""How long a process of the same request that was killed may be taken to live."""
_POLL_SECONDS = 0.5


def project_of(documents: Sequence[Document], project: str, *, given: str | None) -> str:
    """Return the one project that documents are of, ``project`` where there are none.

    Raises:
        CommandError: they are of several, or of another than was given.
    """
    projects = {each.project for each in documents} or {project}
    if given is not None:
        projects.add(given)
    if len(projects) > 1:
        raise CommandError(
            f"a recalculation is of one project, and this is of {', '.join(sorted(projects))}"
        )
    return projects.pop()


def recalculate(settings: Settings, asked: Asked, progress: Progress) -> RecalculationAnswer:
    """Recalculate, to the end; return what it comes to.

    Raises:
        CommandError: it cannot be, or not now; or it was cancelled.
    """
    with _in_words(settings):
        return asyncio.run(_recalculate(settings, asked, progress))


def cancelled(settings: Settings, project: str, id_: UUID) -> RecalculationAnswer:
    """Cancel a recalculation that is not finished; return what is known of it. Its process, where
    one works at it, changes nothing more.

    Raises:
        CommandError: the project has none of that id, or it has ended.
    """
    with _in_words(settings):
        return asyncio.run(_cancelled(settings, project, id_))


@contextmanager
def _in_words(settings: Settings) -> Iterator[None]:
    """Bring the database up to date, then say in words what cannot be done.

    Raises:
        CommandError: something cannot.
    """
    try:
        with database_errors():
            migrate(settings.database_url)
            yield
    except MigrationError as error:
        raise CommandError(str(error)) from error
    except Problem as problem:
        raise CommandError(problem.detail) from problem
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except KafkaError as error:
        raise CommandError(f"Kafka refused: {error!r}; {_AGAIN}") from error


async def _cancelled(settings: Settings, project: str, id_: UUID) -> RecalculationAnswer:
    async with await connect(settings) as connection:
        status = await queries.cancel(connection, project, id_)
        if status is None:
            raise CommandError(f"the project {project} has no recalculation {id_}")
        if status != "cancelled":
            raise CommandError(f"the recalculation {id_} has ended: it is {status}")
        found = await answers.one(connection, project, id_)
        assert found is not None
        return found


async def _recalculate(settings: Settings, asked: Asked, progress: Progress) -> RecalculationAnswer:
    definitions = asking.definitions_of(asked, await apply.in_force(settings))
    await check_topics(settings)
    await inputs.require(settings)
    async with await connect(settings) as connection:
        begun = await _begin(connection, asked, definitions)
        async with leased(settings, begun.id, begun.owner) as lease:
            try:
                await go_on(settings, lease, progress)
            except Lost:
                await _require_ended(connection, asked, begun)
            except Unfolded as error:
                raise CommandError(
                    f"no worker has folded {error}; when one runs, {_AGAIN}"
                ) from error
            finally:
                with suppress(psycopg.Error):
                    await lease.let_go()
        found = await answers.one(connection, asked.project, begun.id)
        assert found is not None
        return found


async def _begin(
    connection: AsyncConnection, asked: Asked, definitions: Sequence[models.Definition]
) -> Begun:
    """Begin; where the same command was killed, wait until its process is known to be gone.

    Raises:
        Problem: 409, another one runs.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return await asking.begin(connection, asked, definitions, by_command=True)
        except Problem:
            there = await queries.unfinished(connection, asked.project)
            is_own = there is not None and there.by_command and there.request == asked.key()
            if not is_own or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_POLL_SECONDS)


async def _require_ended(connection: AsyncConnection, asked: Asked, begun: Begun) -> None:
    """Check that a recalculation that is not this process' any more has come to its end.

    Raises:
        CommandError: it was cancelled, or another process works at it.
    """
    found = await answers.one(connection, asked.project, begun.id)
    if found is None or found.status == "cancelled":
        raise CommandError(f"the recalculation {begun.id} was cancelled")
    if found.status == "running":
        raise CommandError(f"another process works at the recalculation {begun.id} now")

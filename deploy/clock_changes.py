"""Whether a project may be given another clock: only while it has no members, which keep theirs."""

from collections.abc import Sequence

from psycopg import AsyncConnection

from api.queries import clocks
from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.up_to_date import are_up_to, ends_of
from schemas.settings import Settings


async def with_members(settings: Settings, projects: Sequence[str]) -> list[str]:
    """Return those of the projects that have members, as far as any was published by now.

    Raises:
        CommandError: the database does not answer, or its tables are behind.
        KafkaError: the broker does not answer.
    """
    if not projects:
        return []
    ends = await ends_of(settings, ("members",))
    if not any(ends.values()):
        return []
    with database_errors():
        async with await AsyncConnection.connect(
            settings.database_url, autocommit=True
        ) as connection:
            if not await are_up_to(connection, ends):
                raise CommandError(
                    "a project's clock cannot be changed now: whether it has members is not "
                    "known, for the tables are not up to date; is a projector running?"
                )
            return [each for each in projects if await clocks.has_members(connection, each)]

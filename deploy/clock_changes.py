"""Whether a project may be given another clock: only while it has no members, which keep theirs."""

from collections.abc import Sequence

from api.queries import clocks
from deploy.up_to_date import ends_of, tables_at
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
    otherwise = "whether a project has members, and may be given another clock, is not known"
    async with tables_at(settings, ends, otherwise) as connection:
        return [each for each in projects if await clocks.has_members(connection, each)]

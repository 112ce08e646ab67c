"""`milestream export-member`: all that is held of a member, as JSON."""

import asyncio

from deploy.commands.whose import Project, User
from schemas.settings import Settings


def command(project: Project, user: User) -> None:
    """Print all that is held of a member as JSON, as of one moment."""
    from deploy.clients import words_for_readers
    from deploy.members import export

    settings = Settings.from_env()
    with words_for_readers(settings):
        asyncio.run(export(settings, project, user, lambda piece: print(piece, end="")))
    print()

"""`milestream forget-member`: forget who a member is."""

import asyncio

from deploy.commands.whose import Project, User
from schemas.settings import Settings


def command(project: Project, user: User) -> None:
    """Forget who a member is; print when it was forgotten, now or the first time."""
    from deploy.clients import words_for_readers
    from deploy.members import forget

    settings = Settings.from_env()
    with words_for_readers(settings):
        print(asyncio.run(forget(settings, project, user)))

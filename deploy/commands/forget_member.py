"""`milestream forget-member`: forget who a member is."""

import asyncio

from aiokafka.errors import KafkaConnectionError, KafkaError

from deploy.clients import unreachable
from deploy.commands.whose import Project, User
from deploy.errors import CommandError
from schemas.settings import Settings


def command(project: Project, user: User) -> None:
    """Forget who a member is; print when it was forgotten, now or the first time."""
    from deploy.members import forget

    settings = Settings.from_env()
    try:
        print(asyncio.run(forget(settings, project, user)))
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except KafkaError as error:
        raise CommandError(f"Kafka refused: {error!r}") from error

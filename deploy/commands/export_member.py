"""`milestream export-member`: all that is held of a member, as JSON."""

import asyncio

from aiokafka.errors import KafkaConnectionError, KafkaError

from deploy.clients import unreachable
from deploy.commands.whose import Project, User
from deploy.errors import CommandError
from schemas.settings import Settings


def command(project: Project, user: User) -> None:
    """Print all that is held of a member as JSON, as of one moment."""
    from deploy.members import export

    settings = Settings.from_env()
    try:
        asyncio.run(export(settings, project, user, lambda piece: print(piece, end="")))
    except KafkaConnectionError as error:
        raise unreachable(settings) from error
    except KafkaError as error:
        raise CommandError(f"Kafka refused: {error!r}") from error
    print()

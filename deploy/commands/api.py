"""`milestream api`: the HTTP API, until it is told to stop."""

import psycopg

from deploy.errors import CommandError
from schemas.settings import Settings


def command() -> None:
    """Serve the HTTP API, until told to stop."""
    from api.server import main
    from projections.migrate import migrate

    settings = Settings.from_env()
    try:
        migrate(settings.database_url)
    except psycopg.OperationalError as error:
        raise CommandError(f"the database does not answer: {error}") from error
    main(settings)

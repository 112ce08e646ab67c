"""`milestream api`: the HTTP API, until it is told to stop."""

import psycopg

from deploy.errors import CommandError
from schemas.settings import Settings, variable


def command() -> None:
    """Serve the HTTP API, until told to stop."""
    from api.server import main
    from projections.migrate import MigrationError, migrate

    settings = Settings.from_env()
    try:
        migrate(settings.database_url)
    except MigrationError as error:
        raise CommandError(str(error)) from error
    except psycopg.Error as error:
        away = isinstance(error, psycopg.OperationalError)
        what = "does not answer" if away else "refuses"
        said = " ".join(str(error).split())  # the server's messages have several lines
        raise CommandError(f"the database {what} ({variable('database_url')}): {said}") from error
    main(settings)

"""`milestream migrate`: bringing the database up to date."""

import psycopg

from deploy.errors import CommandError
from projections.migrate import MigrationError, migrate
from schemas.settings import Settings, variable


def command() -> None:
    """Bring the database up to date; other commands do so too, where their login may."""
    settings = Settings.from_env()
    try:
        migrate(settings.database_url)
    except MigrationError as error:
        raise CommandError(str(error)) from error
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise CommandError(f"the database refuses ({variable('database_url')}): {said}") from error

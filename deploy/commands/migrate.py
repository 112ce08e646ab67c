"""`milestream migrate`: bringing the database up to date."""

from deploy.database_errors import database_errors
from deploy.errors import CommandError
from projections.migrate import MigrationError, migrate
from schemas.settings import Settings


def command() -> None:
    """Bring the database up to date; other commands do so too, where their login may."""
    settings = Settings.from_env()
    try:
        with database_errors():
            migrate(settings.database_url)
    except MigrationError as error:
        raise CommandError(str(error)) from error

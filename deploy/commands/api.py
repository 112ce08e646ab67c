"""`milestream api`: the HTTP API, until it is told to stop."""

from deploy.database_errors import database_errors
from deploy.errors import CommandError
from deploy.imports import kept_for_life
from deploy.listening import require_free
from schemas.settings import Settings


def command() -> None:
    """Serve the HTTP API, until told to stop."""
    with kept_for_life():
        from api.server import main
        from projections.migrate import MigrationError, migrate

    settings = Settings.from_env()
    try:
        with database_errors():
            migrate(settings.database_url)
    except MigrationError as error:
        raise CommandError(str(error)) from error
    require_free(settings.api_host, settings.api_port, ("api_host", "api_port"))
    main(settings)

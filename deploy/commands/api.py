"""`milestream api`: the HTTP API, until it is told to stop."""

from schemas.settings import Settings


def command() -> None:
    """Serve the HTTP API, until told to stop."""
    from api.server import main

    main(Settings.from_env())

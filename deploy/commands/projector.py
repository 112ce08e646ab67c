"""`milestream projector`: one projector, until it is told to stop."""

from schemas.settings import Settings


def command() -> None:
    """Write events into the read models, until told to stop."""
    from projections.worker import main

    main(Settings.from_env())

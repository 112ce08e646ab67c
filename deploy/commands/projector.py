"""`milestream projector`: one projector, until it is told to stop."""

from deploy.imports import kept_for_life
from schemas.settings import Settings


def command() -> None:
    """Write events into the read models, until told to stop."""
    with kept_for_life():
        from projections.worker import main

    main(Settings.from_env())

"""`milestream projector`: one projector, until it is told to stop."""

from deploy.imports import kept_for_life
from deploy.listening import require_free
from schemas.settings import Settings


def command() -> None:
    """Write events into the read models, until told to stop."""
    with kept_for_life():
        from projections.worker import main

    settings = Settings.from_env()
    require_free(settings.metrics_host, settings.metrics_port, ("metrics_host", "metrics_port"))
    main(settings)

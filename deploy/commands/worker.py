"""`milestream worker`: one worker, until it is told to stop."""

import asyncio

from deploy.imports import kept_for_life, without_aiohttp
from deploy.listening import require_free
from schemas.settings import Settings


def command() -> None:
    """Fold input records into state and events, until told to stop."""
    with kept_for_life(), without_aiohttp():
        from deploy.topics_create import check_topics
        from processor.worker import main

    settings = Settings.from_env()
    require_free(settings.metrics_host, settings.metrics_port, ("metrics_host", "metrics_port"))
    asyncio.run(check_topics(settings))
    main(settings)

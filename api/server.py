"""`milestream api`: serves until TERM or INT."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator

import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from api.app import create_app
from api.http.connections import Limits, protocol
from api.kafka.clients import TopicsError, check_topics
from api.resources import Resources
from schemas.process_logging import log_to_stderr
from schemas.settings import Settings

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10
"""How long pending requests may take after TERM; replies are waited for at most 5 s."""

_WATCH_SECONDS = 1.0


def main(settings: Settings) -> None:
    """Serve the API until TERM or INT; exit with 1 where it cannot start, or cannot go on."""
    log_to_stderr(settings, dict.fromkeys(("aiokafka", "uvicorn.error"), logging.WARNING))
    app = create_app(settings)
    server = _Server(config(settings, app))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        sys.exit(runner.run(_serve(settings, server, app)))


def config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    return uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http=protocol(Limits.of(settings)),
        ws="none",
        timeout_keep_alive=settings.api_idle_seconds,
        lifespan="on",
        log_config=None,
        # Queries may contain personal data and secrets: they are not logged.
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """A server that exits with 0 on TERM.

    uvicorn's own raises the signal again after its shutdown, and so ends by the signal.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down on TERM and INT, at once on a second one."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _serve(settings: Settings, server: uvicorn.Server, app: FastAPI) -> int:
    try:
        await check_topics(settings)
    except (TopicsError, KafkaError) as error:
        logger.critical("the API cannot start: %s", error)
        return 1
    watch = asyncio.create_task(_watch(server, app))
    try:
        await server.serve()
    except SystemExit:  # uvicorn could not start, and has logged why
        return 1
    failed = watch.done()
    watch.cancel()
    return 1 if failed else 0


async def _watch(server: uvicorn.Server, app: FastAPI) -> None:
    """Stop the server when a background task or client has failed; return then."""
    while not server.should_exit:
        await asyncio.sleep(_WATCH_SECONDS)
        held: Resources | None = getattr(app.state, "resources", None)
        fault = None if held is None else held.fault()
        if fault is not None and not server.should_exit:
            logger.critical("the API cannot go on: %s", fault)
            server.should_exit = True
            return
    await asyncio.Event().wait()  # An orderly end: wait to be cancelled.

"""`milestream api`: serves until TERM or INT."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI

from api import processes
from api.app import create_app
from api.http.connections import Limits, protocol
from api.kafka.clients import TopicsError, check_topics
from api.resources import Resources
from api.siblings import Siblings
from schemas import tracing as tracing_of
from schemas.process_logging import log_to_stderr
from schemas.settings import Settings

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10
"""How long pending requests may take after TERM; replies are waited for at most 5 s."""

_WATCH_SECONDS = 1.0


def main(settings: Settings) -> None:
    """Serve the API until TERM or INT; exit with 1 where it cannot start, or cannot go on."""
    log_to_stderr(settings, dict.fromkeys(("aiokafka", "uvicorn.error"), logging.WARNING))
    if settings.api_processes == 1:
        sys.exit(_serve_here(settings, Siblings()))
    try:
        sockets = processes.listening(settings.api_host, settings.api_port, settings.api_processes)
    except processes.CannotListen as error:
        logger.critical("the API cannot start: %s", error)
        sys.exit(1)
    sys.exit(processes.ProcessGroup(sockets, partial(_serve_here, settings)).run())


def _serve_here(
    settings: Settings,
    siblings: Siblings,
    sockets: Sequence[socket.socket] | None = None,
    parent_ends: int | None = None,
) -> int:
    """Serve in this process; return its exit code.

    Args:
        settings: what to serve with.
        siblings: the processes of this port.
        sockets: where to listen; None: where the settings say.
        parent_ends: a descriptor that ends when the parent does.
    """
    tracing = tracing_of.begin(settings, "milestream-api")
    app = create_app(settings, siblings, tracing)
    server = _Server(config(settings, app))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        code = runner.run(_serve(settings, server, app, sockets, parent_ends))
    if tracing is not None:
        tracing.close()
    return code


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


async def _serve(
    settings: Settings,
    server: uvicorn.Server,
    app: FastAPI,
    sockets: Sequence[socket.socket] | None,
    parent_ends: int | None,
) -> int:
    if settings.master_key is None:
        logger.critical(
            "the API cannot start: MILESTREAM_MASTER_KEY must be set: what it writes of members is "
            "sealed"
        )
        return 1
    try:
        await check_topics(settings)
    except (TopicsError, KafkaError) as error:
        logger.critical("the API cannot start: %s", error)
        return 1
    watch = asyncio.create_task(_watch(server, app))
    if parent_ends is not None:
        asyncio.get_running_loop().add_reader(parent_ends, _end_with_parent)
    try:
        await server.serve(None if sockets is None else list(sockets))
    except SystemExit:  # uvicorn could not start, and has logged why
        return 1
    failed = watch.done()
    watch.cancel()
    return 1 if failed else 0


def _end_with_parent() -> None:
    """End at once: nobody would start this process again, and its port is wanted."""
    logger.critical("the API cannot go on: the parent of its processes was killed")
    logging.shutdown()
    os._exit(1)


async def _watch(server: uvicorn.Server, app: FastAPI) -> None:
    """Say that this process serves, until the server stops; stop it when a background task or
    client has failed, and return then."""
    siblings: Siblings = app.state.siblings
    while not server.should_exit:
        if server.started:
            siblings.beat()
        await asyncio.sleep(_WATCH_SECONDS)
        held: Resources | None = getattr(app.state, "resources", None)
        fault = None if held is None else held.fault()
        if fault is not None and not server.should_exit:
            logger.critical("the API cannot go on: %s", fault)
            server.should_exit = True
            return
    await asyncio.Event().wait()  # An orderly end: wait to be cancelled.

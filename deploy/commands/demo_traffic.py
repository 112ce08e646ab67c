"""`milestream demo-traffic`: the demo's data, until it is told to stop. `up` runs it."""

import asyncio
import signal
from typing import Annotated

import typer

from deploy.demo import RATE, run_demo
from schemas.settings import Settings


def command(
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Records a second.")] = RATE,
) -> None:
    """Apply the demo's definitions, send some days of history, then a steady flow."""
    asyncio.run(_run(Settings.from_env(), rate))


async def _run(settings: Settings, rate: float) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    await run_demo(settings, rate, stopping)

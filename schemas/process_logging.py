"""How a process of Milestream logs: one format, to stderr, at the level of the settings."""

import logging
import sys
from collections.abc import Mapping

from schemas.settings import Settings


def log_to_stderr(settings: Settings, at_least: Mapping[str, int]) -> None:
    """Set up logging for this process.

    Args:
        settings: where the level is set.
        at_least: by the name of a library's logger, the level below which it says too much.
    """
    logging.basicConfig(
        level=settings.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for name, level in at_least.items():
        logging.getLogger(name).setLevel(max(level, logging.getLogger().level))

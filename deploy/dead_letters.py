"""Dead letters for the commands: see `api.dead_letters`, whose failures are said here in words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.dead_letters import reading, redriving
from api.dead_letters.reading import Listing, Progress, Show
from api.dead_letters.redriven import Filter
from api.dead_letters.redriving import RedriveOutcome
from api.kafka.record_reader import RecordReader
from deploy.clients import words_for_readers, words_for_writers
from schemas.settings import Settings


async def show_letters(settings: Settings, wanted: Filter, show: Show) -> None:
    """Show all letters that match, one after the other.

    Raises:
        CommandError: no broker answers, or the topics are not there.
    """
    with words_for_readers(settings):
        await reading.show_letters(settings, wanted, show)


async def list_letters(settings: Settings, wanted: Filter, limit: int) -> Listing:
    """Return the newest letters that match, at most `limit`.

    Raises:
        CommandError: no broker answers, or the topics are not there.
    """
    with words_for_readers(settings):
        return await reading.list_letters(settings, wanted, limit)


async def redrive(
    settings: Settings, wanted: Filter, progress: Progress, *, dry_run: bool = False
) -> RedriveOutcome:
    """Send the originals of the letters that match back to their topics, or say what would be sent.

    Raises:
        CommandError: no broker answers, the topics are not there, or another redrive took over.
    """
    with words_for_writers(settings):
        async with _records(settings) as records:
            if dry_run:
                return await redriving.would_redrive(settings, records, wanted, progress)
            return await redriving.redrive(settings, records, wanted, progress=progress)


@asynccontextmanager
async def _records(settings: Settings) -> AsyncIterator[RecordReader]:
    records = RecordReader(settings)
    try:
        await records.start()
        yield records
    finally:
        await records.stop()

"""`milestream verify`: do the inputs, folded again, give exactly the outputs that were written?"""

import asyncio

from deploy.clients import words_for_readers
from deploy.errors import CommandError
from deploy.imports import kept_for_life
from deploy.progress import bar
from schemas.kafka.member_keys import KeysUnreadable
from schemas.settings import Settings


def command() -> None:
    """Fold all inputs again, in the order of the chunk log, and compare every output."""
    with kept_for_life():
        from deploy.topics_create import check_topics
        from processor.reading import KeysUnread
        from processor.recorded import FoldedByNewer
        from processor.verification import Difference, verify

    settings = Settings.from_env()
    with bar("folded again") as show:

        async def run() -> str:
            await check_topics(settings)
            found = await verify(settings, show)
            return f"{found.inputs} inputs give the {found.outputs} outputs that were written" + (
                f"; of {found.forgotten} members that were forgotten nothing was compared"
                if found.forgotten
                else ""
            )

        try:
            with words_for_readers(settings):
                answer = asyncio.run(run())
        except (Difference, FoldedByNewer, KeysUnread, KeysUnreadable) as found:
            raise CommandError(str(found)) from found
    print(answer)

"""`milestream verify`: do the inputs, folded again, give exactly the outputs that were written?"""

import asyncio

from aiokafka.errors import KafkaConnectionError, KafkaError
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.clients import unreachable
from deploy.errors import CommandError
from deploy.imports import kept_for_life
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
    columns = (TextColumn("folded again"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        async def run() -> str:
            await check_topics(settings)
            found = await verify(settings, lambda count: bar.update(task, advance=count))
            return f"{found.inputs} inputs give the {found.outputs} outputs that were written" + (
                f"; of {found.forgotten} members that were forgotten nothing was compared"
                if found.forgotten
                else ""
            )

        try:
            answer = asyncio.run(run())
        except (Difference, FoldedByNewer, KeysUnread, KeysUnreadable) as found:
            raise CommandError(str(found)) from found
        except KafkaConnectionError as error:
            raise unreachable(settings) from error
        except KafkaError as error:
            raise CommandError(f"Kafka refused: {error!r}") from error
    print(answer)

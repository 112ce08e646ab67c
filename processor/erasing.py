"""Taking what was forgotten out of the stores' files.

RocksDB writes new values beside the old ones, which stay in a file until that is compacted: for
weeks, where little happens. So where a member is forgotten, the range of its entry is.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from processor.domain.aggregates.member import FORGOTTEN
from processor.domain.state_kinds import MEMBER
from processor.store import PartitionStore

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 60
"""Between two rewritings of one store: who forgets thousands has them rewritten together."""

_MAY_BE = b'"forgotten"'


def forgotten_in(entries: Mapping[bytes, bytes | None]) -> list[bytes]:
    """Return the keys of members who are forgotten."""
    return [
        key
        for key, value in entries.items()
        if key.startswith(MEMBER.prefix)
        and value is not None
        and _MAY_BE in value
        and MEMBER.decode(value).status == FORGOTTEN
    ]


class Erasing:
    """Rewrites stores on a thread, each by itself."""

    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        """``fail`` is told where a store cannot be rewritten."""
        self._fail = fail
        self._running: dict[PartitionStore, asyncio.Task[None]] = {}

    def soon(self, store: PartitionStore) -> None:
        """Have a store rewritten, if there is something to, and has not been just now."""
        if store not in self._running:
            self._running[store] = asyncio.create_task(self._rewrite(store))

    async def _rewrite(self, store: PartitionStore) -> None:
        try:
            while await asyncio.to_thread(store.rewrite_erased):
                logger.info("%s: what was forgotten is out of its files", store.path)
                await asyncio.sleep(PAUSE_SECONDS)
        except Exception as error:
            logger.exception("%s cannot be rewritten", store.path)
            self._fail(error)
        finally:
            del self._running[store]

"""The Faust table behind the state: it gives the changelog its place in assignment and recovery.

Faust never reads or writes entries through it; the agent goes to the store itself.
"""

from typing import Any

import faust
from faust.stores.base import Store
from faust.types import TP
from typing_extensions import override

from processor.context import WorkerContext


class StateStoreAdapter(Store[bytes, bytes]):
    """Tells Faust how far a store is, and nothing more."""

    @override
    def persisted_offset(self, tp: TP) -> int | None:
        """Return nothing: recovery asks the store after it has fenced the partition."""
        return None

    @override
    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        """Refuse: the changelog is read by ``recovery``, never through the stream."""
        if list(batch):
            raise RuntimeError("the changelog came through Faust's stream")

    @override
    def reset_state(self) -> None:
        """Keep the files: they are a valid prefix of the changelog."""

    async def backup_partition(self, *_: Any, **__: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError

    def restore_backup(self, *_: Any, **__: Any) -> None:
        """Refuse: the changelog is the backup."""
        raise NotImplementedError

    def __getitem__(self, key: Any) -> Any:
        raise NotImplementedError

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, key: Any) -> None:
        raise NotImplementedError

    def __iter__(self) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


class StateTable(faust.Table[bytes, bytes]):
    """The table named ``state``; its changelog is ``<group>-state-changelog``."""

    @override
    def _new_store(self) -> StateStoreAdapter:
        return StateStoreAdapter(
            "milestream:", self.app, self, table_name=self.name, loop=self.loop
        )


def add_state_table(app: Any, context: WorkerContext) -> StateTable:
    """Register the table with the application."""
    table = StateTable(
        app,
        name="state",
        key_type=bytes,
        value_type=bytes,
        partitions=context.settings.partitions,
        recovery_buffer_size=10_000,
        standby_buffer_size=10_000,
    )
    app.tables.add(table)
    return table

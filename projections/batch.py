"""A batch: what some records do to the tables, and how far the checkpoints move with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from projections import merging
from projections.projection import Amended, Change, Deleted, Projection, Row, Value
from projections.sources import KafkaRecord, UndecodableOutput, reader_of
from schemas.dead_letter import PlacedLetter
from schemas.event_types import EVENT_TYPES
from schemas.outputs import Envelope
from schemas.places import place
from schemas.tracing import Place


@dataclass(frozen=True, slots=True, order=True)
class CheckpointKey:
    """One partition of one topic (without prefix), for one read model."""

    table: str
    topic: str
    partition: int


class TableChanges:
    """The rows that a batch writes to one table; unless they are facts, each key once."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.gone: set[tuple[Value, ...]] = set()
        """Keys to delete before any row is written."""
        self.amended: list[Mapping[str, Value]] = []
        """What to amend once all rows are written."""
        self._facts: list[Row] = []
        self._rows: dict[tuple[Value, ...], Row] = {}
        self._of_both = merging.merge_in_batch(projection)
        self._key_of = projection.key_of

    def add(self, change: Change) -> None:
        """Take one change; the order of calls is the order of the records."""
        if isinstance(change, Deleted):
            self._rows.pop(change.key, None)
            self.gone.add(change.key)
        elif isinstance(change, Amended):
            self.amended.append(change.values)
        elif self._of_both is None:
            self._facts.append(change)
        else:
            key = self._key_of(change)
            before = self._rows.setdefault(key, change)
            if before is not change:
                self._rows[key] = self._of_both(before, change)

    def rows(self) -> Collection[Row]:
        """Return the rows to write."""
        return self._facts or self._rows.values()

    def __len__(self) -> int:
        return len(self.rows())

    def __bool__(self) -> bool:
        return bool(self.rows() or self.gone or self.amended)


class _Changes(dict[str, TableChanges]):
    """Changes by table, made when a table is first asked for: most batches touch few."""

    def __init__(self, projections: Mapping[str, Projection]) -> None:
        super().__init__()
        self._projections = projections

    def __missing__(self, table: str) -> TableChanges:
        made = self[table] = TableChanges(self._projections[table])
        return made


class Batch:
    """Changes and moves that belong into one transaction."""

    def __init__(self, projections: Mapping[str, Projection]) -> None:
        self.changes = _Changes(projections)
        self.moves: dict[CheckpointKey, tuple[int, int]] = {}
        """Where each checkpoint is to stand before, and after."""
        self.records = 0
        self.traced: list[Place] = []
        """Of its records, those that are traced; filled by who traces."""

    def take(
        self,
        topic: str,
        partition: int,
        records: Sequence[KafkaRecord],
        offsets: Mapping[str, int],
        position: int,
    ) -> None:
        """Take a partition's records up to ``position`` (exclusive), in order.

        ``offsets`` has the next offset of each read model of the topic: an earlier record is in it
        already. Records of transactions that were aborted, and control records, are only passed.
        May be called again for what follows.

        Raises:
            UndecodableOutput: one of our own records cannot be read.
        """
        takers = []
        for table, offset in offsets.items():
            if position > offset:
                key = CheckpointKey(table, topic, partition)
                begin = self.moves[key][0] if key in self.moves else offset
                self.moves[key] = (begin, position)
                changes = self.changes[table]
                takers.append((offset, changes.projection.rows, changes.add))
        if not takers:
            return
        read, first = reader_of(topic), place(partition, 0)
        for record in records:
            try:
                source = read(record)
                if source is not None:
                    if isinstance(source, Envelope):
                        _check_type(source)
                        source.place = first | record.offset
                    elif isinstance(source, PlacedLetter):
                        source.place = first | record.offset
                    for offset, rows, add in takers:
                        if record.offset >= offset:
                            for change in rows(source):
                                add(change)
            except (msgspec.MsgspecError, ValueError) as error:
                raise UndecodableOutput(
                    f"{topic}, partition {partition}, offset {record.offset}: {error}"
                ) from error
        self.records += len(records)


def _check_type(event: Envelope) -> None:
    if event.type not in EVENT_TYPES:
        raise ValueError(
            f"unknown event type {event.type}: was it written by a newer version of Milestream?"
        )

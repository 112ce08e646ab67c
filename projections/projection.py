"""What a projection is: which events it reads, and which rows of one table they make.

A module of ``projections.read_models`` holds data and pure functions only: no connection, no
clock. ``projections.catalogue`` lists all read models.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, ClassVar, Generic, Literal, LiteralString, TypeVar

import msgspec

from schemas.event_types import EventType
from schemas.outputs import Envelope
from schemas.read_models import READ_MODELS

Value = str | int | Decimal | datetime | Sequence[str] | None
"""A column's value: as itself, or as the text that PostgreSQL reads for its type. Amounts and
times of events stay the text that they were: nothing is parsed that is only written again."""

Row = tuple[Value, ...]
"""Values in the order of ``Projection.columns``."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The row with this key is no more."""

    key: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Amended:
    """Something else became of a row that was written before. ``values`` name it, and are what
    ``Projection.amend`` asks for."""

    values: Mapping[str, Value]


Change = Row | Deleted | Amended


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a record of ``member-events`` without value says: all that was published there of a
    member is no more."""

    project: str
    member_id: str
    type: ClassVar[str] = "forgotten"
    """Its place among the types of events."""


Combination = Literal["sum", "union", "greatest"]
"""How two values in one column are merged: their sum, the bits of both, or the greater one."""


@dataclass(frozen=True)
class Derived:
    """Tables that are kept beside a read model, in its transactions, and rebuilt with it."""

    tables: tuple[str, ...]
    """Names in schema ``milestream``."""
    statement: LiteralString
    """SQL that brings them up to date before a batch's rows are taken into the read model:
    ``{rows}`` has these, ``{model}`` what there was before; those to be changed go by their
    names."""


@dataclass(frozen=True)
class Projection:
    """One read model.

    A record is applied exactly once, for its offset is checked in the same transaction. Where rows
    are whole, even a second application would change nothing: they have deterministic keys.
    """

    table: str
    """Name in schema ``milestream``, and of the checkpoints."""
    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: Callable[[Any], Iterable[Change]]
    """What one thing read from a topic (see ``projections.sources``) does to the table; pure.

    Raises ``msgspec.MsgspecError`` where an event's data is not what its type says."""
    types: frozenset[EventType] = frozenset()
    """The events that it makes rows of; none for other topics."""
    newest_by: str | None = None
    """Column that tells which of two rows with one key is newer. None: rows are facts, and the
    first one with a key stays."""
    kept: tuple[str, ...] = ()
    """Columns that keep the value that the row began with."""
    combined: Mapping[str, Combination] = field(default_factory=dict)
    """Of an aggregate: how these columns take up what another row with the key adds to them. The
    others keep what they have."""
    derived: Derived | None = None
    amend: LiteralString | None = None
    """SQL that carries out the amendments of a batch once its rows are written. Its parameter is
    a JSON list of their values; ``{model}`` is the read model, and derived tables go by their
    names. It sees what the batch wrote to read models before this one."""
    key_of: Callable[[Row], tuple[Value, ...]] = field(init=False)
    """Returns the key of a row."""

    def __post_init__(self) -> None:
        """Find the key's columns."""
        places = [self.columns.index(name) for name in self.key]
        object.__setattr__(self, "key_of", itemgetter(*places))

    @property
    def topics(self) -> tuple[str, ...]:
        """What it is made from, names without prefix."""
        return READ_MODELS[self.table]

    @property
    def is_shared(self) -> bool:
        """Whether events of several topics change the same rows."""
        return len(self.topics) > 1 and (self.newest_by is not None or bool(self.combined))

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that it writes."""
        return (self.table, *(() if self.derived is None else self.derived.tables))


Data = TypeVar("Data")


class SharedData(Generic[Data]):
    """Decodes what several read models take of one event once, for the last event that was asked
    about: each event goes to all of them before the next one does."""

    def __init__(self, wanted: type[Data]) -> None:
        self._decode = msgspec.json.Decoder(wanted).decode
        self._last: tuple[Envelope, Data] | None = None

    def of(self, event: Envelope) -> Data:
        """Return an event's data.

        Raises:
            msgspec.MsgspecError: it is not what the type says.
        """
        if self._last is None or self._last[0] is not event:
            self._last = event, self._decode(event.data)
        return self._last[1]


Reader = Callable[[Envelope], Iterable[Change]]


def of_events(
    table: str,
    *,
    events: Mapping[EventType, Reader],
    columns: tuple[str, ...],
    key: tuple[str, ...],
    newest_by: str | None = None,
    kept: tuple[str, ...] = (),
    combined: Mapping[str, Combination] | None = None,
    derived: Derived | None = None,
    amend: LiteralString | None = None,
    forgets: bool = False,
) -> Projection:
    """Return the read model that these readers make of their types of event; others make no rows.

    Where it ``forgets``, its key is project and member, and a member that is forgotten has no row.

    Raises:
        ValueError: a type is published on another topic than the catalogue has for the table.
    """
    readers: dict[str, Callable[[Any], Iterable[Change]]] = {
        event_type.name: reader for event_type, reader in events.items()
    }
    for event_type in events:
        if event_type.topic not in READ_MODELS[table]:
            raise ValueError(f"{table} is not made from {event_type.topic}: {event_type.name}")

    if forgets:
        readers[Forgotten.type] = _gone

    def rows(event: Envelope) -> Iterable[Change]:
        reader = readers.get(event.type)
        return () if reader is None else reader(event)

    return Projection(
        table=table,
        columns=columns,
        key=key,
        rows=rows,
        types=frozenset(events),
        newest_by=newest_by,
        kept=kept,
        combined={} if combined is None else combined,
        derived=derived,
        amend=amend,
    )


def _gone(forgotten: Forgotten) -> Iterable[Change]:
    yield Deleted((forgotten.project, forgotten.member_id))


def uuid_array(ids: Iterable[str]) -> str:
    """Return PostgreSQL's text of a ``uuid[]``; ids need no quotes."""
    return "{" + ",".join(ids) + "}"

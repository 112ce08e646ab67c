"""Read models that hold what an event's data says: a column for each field.

The columns, the reader and its types follow from the event's struct. Amounts and times stay the
text that they were: nothing is parsed that is only written again.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, LiteralString

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from projections.json_text import storable
from projections.projection import Projection, Reader, Row, of_events
from schemas.event_types import EventType
from schemas.outputs import NULL, Envelope


def event_table(
    table: str,
    types: Iterable[EventType],
    key: tuple[str, ...],
    *,
    newest_by: str | None = None,
    only: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
    renamed: Mapping[str, str] | None = None,
    place: str | None = None,
    kept: tuple[str, ...] = (),
    amended_by: Mapping[EventType, Reader] | None = None,
    amend: LiteralString | None = None,
    forgets: bool = False,
) -> Projection:
    """Return the read model of what events of these types say.

    Its columns are ``project``, the data's fields, and the event's ``sequence``. What an event may
    leave out is null or its default where it does; where the data has several structs, so is what
    one of them does not have.

    Args:
        table: its name.
        types: the events that it holds.
        key: the columns of its key.
        newest_by: the column that tells the newest of rows with one key; None: rows are facts.
        only: the fields that it takes, in this order; all of them where it is None.
        without: fields that it leaves out.
        renamed: columns that are not called as their field is, by the field; that of
            ``owned_by_id`` is always ``member_id``.
        place: the last column, of the event's place on its topic; None: there is none.
        kept: columns that keep the value that the row began with.
        amended_by: events that make no rows, but change some; see ``Projection.amend``.
        amend: how they do.
        forgets: whether a member that is forgotten has no row; its key is project and member.
    """
    types = tuple(types)
    described = _fields(types)
    names = described.keys() if only is None else only
    fields = [described[name] for name in names if name not in without]
    column_of = {"owned_by_id": "member_id", **(renamed or {})}
    columns = [column_of.get(field.name, field.name) for field in fields]
    reader = _reader(fields, placed=place is not None)
    return of_events(
        table,
        events={**dict.fromkeys(types, reader), **(amended_by or {})},
        columns=("project", *columns, "sequence", *([] if place is None else [place])),
        key=key,
        newest_by=newest_by,
        kept=kept,
        amend=amend,
        forgets=forgets,
    )


def _fields(types: tuple[EventType, ...]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return the fields of all these types' data, in order; of those with one name, the first that
    may be left out. What only some of them have is null where it is not."""
    found: dict[str, msgspec.structs.FieldInfo] = {}
    structs = [msgspec.structs.fields(data) for data in dict.fromkeys(e.data for e in types)]
    for fields in structs:
        for field in fields:
            if field.name not in found or (found[field.name].required and not field.required):
                found[field.name] = field
    common = set.intersection(*({field.name for field in fields} for fields in structs))
    return {
        name: replace(field, default=None) if field.required and name not in common else field
        for name, field in found.items()
    }


def _reader(
    fields: list[msgspec.structs.FieldInfo], *, placed: bool
) -> Callable[[Envelope], Iterable[Row]]:
    taken = msgspec.defstruct(
        "_Taken",
        [(field.name, _as_text(field.type), _default(field)) for field in fields],
        rename={field.name: field.encode_name for field in fields},
        kw_only=True,
        gc=False,
    )
    decode = msgspec.json.Decoder(taken).decode
    places = list(enumerate(fields))
    json_places = [place for place, field in places if field.type in _JSON]
    may_lack = [place for place, field in places if field.default is UNSET]

    def read(event: Envelope) -> Iterable[Row]:
        values: list[Any] = list(msgspec.structs.astuple(decode(event.data)))
        for place in may_lack:
            if values[place] is UNSET or values[place] == NULL:
                values[place] = None
        for place in json_places:
            if values[place] is not None:
                values[place] = storable(str(values[place], "utf-8"))
        if placed:
            yield (event.project, *values, int(event.sequence), event.place)
        else:
            yield (event.project, *values, int(event.sequence))

    return read


_JSON = (Raw, Raw | UnsetType)
"""The types of fields that are JSON of their own."""


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """Return what an event has that was written before the field was there."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default


def _as_text(type_: Any) -> Any:
    if type_ is datetime:
        return str
    if type_ == datetime | UnsetType:
        return str | UnsetType
    return str | None if type_ == datetime | None else type_

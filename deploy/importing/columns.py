"""CSV rows as JSON objects: columns named with dots nest, numbers keep their own text."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, get_args

import msgspec
from msgspec import Raw, inspect

from schemas.json_limits import MAX_DEPTH
from schemas.records import ActivityLog, ChallengeLog, Event, MemberCommand
from schemas.topics import ACTIVITY_LOGS, CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS

RECORDS: Mapping[str, Sequence[type]] = {
    CHALLENGE_LOGS: (ChallengeLog,),
    EVENTS: (Event,),
    ACTIVITY_LOGS: (ActivityLog,),
    MEMBER_COMMANDS: get_args(MemberCommand),
}
"""The records of each topic that producers write."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ATTRIBUTES = ("attributes", "ownedBy.attributes")
_OBJECTS = frozenset({"metadata", "fulfilment", *_ATTRIBUTES})
_FREE = tuple(f"{name}." for name in sorted(_OBJECTS))
"""Columns under these have no fixed type: what reads as a JSON number, flag, list or object is
one; anything else is text."""


def _fields(record: inspect.StructType, prefix: str = "") -> Iterator[tuple[str, inspect.Type]]:
    """Yield a record's columns with their types, where a field may be of several with each."""
    for field in record.fields:
        name = prefix + field.encode_name
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for each in types:
            yield name, each
            if isinstance(each, inspect.StructType):
                yield from _fields(each, f"{name}.")


def _of_type(*types: type[inspect.Type]) -> Set[str]:
    """Return the columns of fixed type that may be of these types."""
    return frozenset(
        name
        for record in inspect.multi_type_info(
            [each for kinds in RECORDS.values() for each in kinds]
        )
        if isinstance(record, inspect.StructType)
        for name, type_ in _fields(record)
        if isinstance(type_, types) and name not in _OBJECTS and not name.startswith(_FREE)
    )


_NUMBERS = _of_type(inspect.IntType, inspect.FloatType, inspect.RawType)
"""`Raw` is a number that keeps its own text, but where it is one of `_OBJECTS`."""

_FLAGS = _of_type(inspect.BoolType)
_LISTS = _of_type(inspect.ListType)


class HeaderError(ValueError):
    """The header row cannot name an object's fields."""


class RowError(ValueError):
    """A row does not fit its header."""


@dataclass(frozen=True)
class FileColumns:
    """What is known of a file's columns before its header is read.

    Attributes:
        topic: the topic's name in the catalogue.
        texts: columns whose cells stay text, whatever they look like.
    """

    topic: str
    texts: Set[str] = frozenset()

    def of(self, header: Sequence[str]) -> "Columns":
        """Return the columns of a header row. One that is no field is left to the record, which
        ignores it, but where it only spells a field in another way.

        Raises:
            HeaderError: as `Columns`; or a name is a field's in another spelling, or one of
                `texts` is not there.
        """
        columns = Columns(header, self.texts)
        fields = field_names(self.topic)
        spelled = {_letters(name): name for name in fields}
        for name in columns.names:
            meant = spelled.get(_letters(name), name)
            if meant != name and name not in fields:
                raise HeaderError(f"column {name!r} is not a field; it is spelled {meant!r}")
        missing = sorted(self.texts - set(columns.names))
        if missing:
            raise HeaderError(f"there is no column {missing[0]!r} to keep as text")
        return columns


def field_names(topic: str) -> frozenset[str]:
    """Return the names that the fields of a topic's records have in a header row."""
    return frozenset(name for record in RECORDS[topic] for name in _names_of(record, ""))


def _names_of(record: type, prefix: str) -> Iterable[str]:
    for field in msgspec.structs.fields(record):
        yield prefix + field.encode_name
        for inner in (field.type, *get_args(field.type)):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from _names_of(inner, f"{prefix}{field.encode_name}.")
    if record.__struct_config__.tag_field:  # type: ignore[attr-defined]
        yield prefix + record.__struct_config__.tag_field  # type: ignore[attr-defined]


def _letters(name: str) -> str:
    return re.sub(r"[ _-]", "", name).lower()


class Columns:
    """The fields that a header row names, and how their cells are read.

    Every column is text but those that records have as something else (`activityValue`, `points`,
    `groups`, …), so an order number `00127` stays one; and those of `texts` are text in any case.

    Raises:
        HeaderError: a name is empty or twice there, nests too deep, or is both a field and an
            object.
    """

    def __init__(self, names: Sequence[str], texts: Set[str] = frozenset()) -> None:
        self._texts = texts
        self._names = [name.strip() for name in names]
        seen: set[str] = set()
        for number, name in enumerate(self._names, 1):
            parts = name.split(".")
            if not name or "" in parts:
                raise HeaderError(f"column {number} has no name")
            if len(parts) > MAX_DEPTH:
                raise HeaderError(f"column {number} nests deeper than {MAX_DEPTH}")
            if name in seen:
                raise HeaderError(f"column {name!r} is there twice")
            seen.add(name)
        objects = {within for name in seen for within in _objects_of(name)}
        for name in self._names:
            if name in objects:
                raise HeaderError(f"column {name!r} is a field and an object at once")
        self._paths = [_path(name) for name in self._names]

    @property
    def names(self) -> Sequence[str]:
        """The columns' names, in order."""
        return self._names

    def encode(self, row: Sequence[str]) -> bytes:
        """Return the JSON object of a row; empty cells are absent.

        Raises:
            RowError: too many or too few cells, or a cell that is not of its column's type.
        """
        if len(row) != len(self._names):
            raise RowError(f"has {len(row)} cells, the header has {len(self._names)}")
        root: dict[str, Any] = {}
        for name, path, cell in zip(self._names, self._paths, row, strict=True):
            if not cell:
                continue
            place = root
            for part in path[:-1]:
                place = place.setdefault(part, {})
            place[path[-1]] = cell if name in self._texts else _value(name, cell)
        return msgspec.json.encode(root)


def _objects_of(name: str) -> Iterator[str]:
    """Yield what a column's name says to be objects: of `a.b.c` these are `a` and `a.b`."""
    return accumulate(name.split(".")[:-1], "{}.{}".format)


def _path(name: str) -> tuple[str, ...]:
    """Return the names that lead to a column's value, one in the other: what follows `attributes.`
    is one name, dots included."""
    for within in _ATTRIBUTES:
        if name.startswith(f"{within}."):
            return (*within.split("."), name.removeprefix(f"{within}."))
    return tuple(name.split("."))


def _value(name: str, cell: str) -> Any:
    """Return a cell as msgspec encodes it; `Raw` keeps a number as it was written."""
    if name in _NUMBERS:
        text = cell.strip()
        if not _NUMBER.fullmatch(text):
            raise RowError(f"{name}: {_short(cell)} is not a number as JSON has them")
        return Raw(text)
    if name in _FLAGS:
        if cell not in ("true", "false"):
            raise RowError(f"{name}: {_short(cell)} is neither true nor false")
        return cell == "true"
    if name in _LISTS:
        return _list(name, cell)
    if name in _OBJECTS:
        return _object(name, cell)
    if name.startswith(_FREE):
        return _free(cell)
    return cell


def _object(name: str, cell: str) -> Raw:
    """Read a whole object that stands in one cell, numbers as they were written."""
    try:
        msgspec.json.decode(cell, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise RowError(f"{name}: {_short(cell)} is not a JSON object") from error
    return Raw(cell)


def _list(name: str, cell: str) -> Any:
    """Read `["a", "b"]`, or `a;b`."""
    if not cell.startswith("["):
        return [part.strip() for part in cell.split(";") if part.strip()]
    try:
        return msgspec.json.decode(cell, type=list[str])
    except msgspec.DecodeError as error:
        raise RowError(f"{name}: {_short(cell)} is not a list of texts") from error


def _free(cell: str) -> Any:
    if _NUMBER.fullmatch(cell):
        return Raw(cell)
    if cell in ("true", "false"):
        return cell == "true"
    if cell[0] in "[{":
        try:
            msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
        return Raw(cell)
    return cell


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")

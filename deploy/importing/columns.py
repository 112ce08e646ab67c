"""CSV rows as JSON objects: columns named with dots nest, numbers keep their own text."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBERS = frozenset({"activityValue", "points", "ifVersion"})
_FLAGS = frozenset({"approved", "mustExist", "withApiKey", "byEndUser"})
_LISTS = frozenset({"groups", "ownedBy.groups"})
_OBJECTS = frozenset({"metadata", "fulfilment"})
_FREE = tuple(f"{name}." for name in sorted(_OBJECTS))
"""Columns under these have no fixed type: what reads as a JSON number, flag, list or object is
one; anything else is text."""


class HeaderError(ValueError):
    """The header row cannot name an object's fields."""


class RowError(ValueError):
    """A row does not fit its header."""


class Columns:
    """The fields that a header row names, and how their cells are read.

    Every column is text but those that records have as something else (`activityValue`, `points`,
    `groups`, …), so an order number `00127` stays one.

    Raises:
        HeaderError: a name is empty or twice there, or is both a field and an object.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [name.strip() for name in names]
        for number, name in enumerate(self._names, 1):
            if not name or "" in name.split("."):
                raise HeaderError(f"column {number} has no name")
            if self._names.index(name) != number - 1:
                raise HeaderError(f"column {name!r} is there twice")
            if any(other.startswith(f"{name}.") for other in self._names):
                raise HeaderError(f"column {name!r} is a field and an object at once")
        self._paths = [tuple(name.split(".")) for name in self._names]

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
            place[path[-1]] = _value(name, cell)
        return msgspec.json.encode(root)


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

"""How much the conditions of one record may look at, counted and not timed: any fold of the same
record comes to the same.

One unit stands for a byte looked at, about a nanosecond. The dearest that a sender and whoever
writes definitions find together takes about a quarter of a second.
"""

from typing import Any, NamedTuple

import msgspec

from processor.domain.aggregates.json_values import Elements, Key, key_of
from processor.domain.inputs import Refused
from schemas.dead_letter import Reason

MOST = 2**27
"""Units of one record: a hundred thousand comparisons of numbers or short texts."""
TOO_MUCH = "conditions would have to look at too much"
COMPARISON = 256
OWN_BYTE = 8
"""Of a comparison's field and value: several things are done with them."""
SMALL = 4096
"""Bytes of metadata of which no number is long enough to be counted."""
_DIGITS = 64
"""Bytes of a number that are compared in the time of one other."""

SHORT_TEXT = 64
"""Characters that are looked through within what any comparison costs."""
_LONG_TEXT = 30_000
"""Characters from which on the search takes linear time; below it can look at each as often as the
wanted text has characters, some at a time."""
_AT_A_TIME = 4

_JSON = msgspec.json.Encoder(decimal_format="number")


class Cost(NamedTuple):
    """What all comparisons of a condition take, whichever decides it."""

    comparisons: int
    units: int

    def with_(self, other: "Cost") -> "Cost":
        """Return what this and another take together."""
        return Cost(self.comparisons + other.comparisons, self.units + other.units)

    def times(self, count: int) -> "Cost":
        """Return what this takes so many times."""
        return Cost(self.comparisons * count, self.units * count)


FREE = Cost(0, 0)


def cost_of_comparison(own_bytes: int) -> Cost:
    """Return what one comparison takes whose field and value have so many bytes."""
    return Cost(1, COMPARISON + OWN_BYTE * own_bytes)


class Work:
    """What one record's conditions have taken, and what they prepared for those to come.

    It is of one record: what it keeps, it keeps by the places of values in memory.
    """

    most = MOST
    spent = 0
    size = 0
    """Bytes of the metadata, 0 where they are few."""
    _elements: dict[int, Elements] | None = None
    _keys: dict[int, tuple[Any, Key]] | None = None
    _json: dict[int, tuple[Any, bytes]] | None = None

    def spend(self, units: int) -> None:
        """Count units.

        Raises:
            Refused: there are too many.
        """
        self.spent += units
        if self.spent > self.most:
            raise Refused(Reason.TOO_LARGE, "conditions would have to look at too much", "metadata")

    def begin(self, cost: Cost) -> None:
        """Count what a condition takes before its comparisons are made.

        Raises:
            Refused: it is too much.
        """
        self.spent += cost.units + cost.comparisons * (self.size // _DIGITS)
        if self.spent > self.most:
            raise Refused(Reason.TOO_LARGE, TOO_MUCH, "metadata")

    def begin_search(self, text: str, wanted: str) -> None:
        """Count what it takes to look for one text in another.

        Raises:
            Refused: it is too much.
        """
        length = len(text)
        if length >= _LONG_TEXT:
            self.spend(2 * length)
        elif length > SHORT_TEXT:
            self.spend(length * max(1, min(len(wanted), SHORT_TEXT) // _AT_A_TIME))

    def elements_of(self, items: list[Any]) -> Elements:
        """Return a list's elements, prepared once."""
        if self._elements is None:
            self._elements = {}
        found = self._elements.get(id(items))
        if found is None:
            found = self._elements[id(items)] = Elements(items)
        return found

    def key_of(self, value: Any) -> Key:
        """Return the key of a value, made once.

        Raises:
            Refused: it takes too much.
        """
        if value.__class__ is str:
            return key_of(value)
        if self._keys is None:
            self._keys = {}
        found = self._keys.get(id(value))
        if found is None:
            found = self._keys[id(value)] = value, key_of(value)
            self.spend(OWN_BYTE * len(found[1]))  # objects may lie in each other
        return found[1]

    def json_of(self, value: Any) -> bytes:
        """Return the JSON of a value, made once.

        Raises:
            Refused: it takes too much.
        """
        if self._json is None:
            self._json = {}
        found = self._json.get(id(value))
        if found is None:
            found = self._json[id(value)] = value, _JSON.encode(value)
            self.spend(len(found[1]))
        return found[1]


def work_on(metadata: msgspec.Raw) -> Work:
    """Return the work of a record that has such metadata, none of it done."""
    work = Work()
    size = memoryview(metadata).nbytes
    if size > SMALL:
        work.size = size
    return work

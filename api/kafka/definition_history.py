"""Which definitions were in force when: their versions, by what they are of."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from typing_extensions import override

from schemas.definition_set import DefinitionKey, DefinitionSet, Stored


class DefinitionHistory(DefinitionSet):
    """The definitions in force, and the versions of each before; eight bytes a version, and as many
    each time that it was put where none was."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[DefinitionKey, array[int]] = {}
        self._firsts: dict[DefinitionKey, array[int]] = {}

    @override
    def changed(self, key: DefinitionKey, before: Stored | None, after: Stored | None) -> None:
        self._versions.setdefault(key, array("q")).append(self.next_offset - 1)
        if before is None and after is not None:
            self._firsts.setdefault(key, array("q")).append(after.first)

    def versions_of(self, project: str, kind: str, id_: str) -> Sequence[int]:
        """Return the offsets of all records of a definition, rising."""
        return self._versions.get((project, kind, id_), ())

    def version_before(self, project: str, kind: str, id_: str, offset: int) -> int | None:
        """Return the offset of the last record of a definition before ``offset``, None where there
        was none. It may be one that deleted it."""
        versions = self._versions.get((project, kind, id_), array("q"))
        place = bisect_left(versions, offset)
        return versions[place - 1] if place else None

    def first_of(self, project: str, kind: str, id_: str, version: int) -> int | None:
        """Return the first version that a definition had since it was last deleted before one of
        its versions; None where it was not defined by then."""
        firsts = self._firsts.get((project, kind, id_), array("q"))
        place = bisect_right(firsts, version)
        return firsts[place - 1] if place else None

"""Which definitions were in force when: their versions, by what they are of."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence

from typing_extensions import override

from schemas.definition_set import DefinitionKey, DefinitionSet, Stored


class DefinitionHistory(DefinitionSet):
    """The definitions in force, and the versions of each before; eight bytes a version."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[DefinitionKey, array[int]] = {}

    @override
    def changed(self, key: DefinitionKey, before: Stored | None, after: Stored | None) -> None:
        self._versions.setdefault(key, array("q")).append(self.next_offset - 1)

    def versions_of(self, project: str, kind: str, id_: str) -> Sequence[int]:
        """Return the offsets of all records of a definition, rising."""
        return self._versions.get((project, kind, id_), ())

    def version_before(self, project: str, kind: str, id_: str, offset: int) -> int | None:
        """Return the offset of the last record of a definition before ``offset``, None where there
        was none. It may be one that deleted it."""
        versions = self._versions.get((project, kind, id_), array("q"))
        place = bisect_left(versions, offset)
        return versions[place - 1] if place else None

"""Definitions as they were, read by their versions: a version is an offset on ``definitions``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from api.kafka.definition_history import DefinitionHistory
from api.kafka.record_reader import RecordReader, Removed
from processor.domain.rules import (
    Challenge,
    Streak,
    TierSet,
    Zone,
    compile_challenge,
    compile_streak,
    compile_tier_set,
)
from schemas import definitions as models
from schemas.definition_records import DefinitionChange, read_change
from schemas.definition_set import DefinitionSet, Stored
from schemas.topics import DEFINITIONS

_ANY_ZONE = Zone("UTC", by_member=False)
"""Whether a log counts asks for no zone."""


class Named(NamedTuple):
    """A definition's kind and id, in the project at hand."""

    kind: str
    id: str


class Versions:
    """Reads what a project's definitions were."""

    def __init__(self, reader: RecordReader, history: DefinitionHistory, project: str) -> None:
        self._reader = reader
        self._history = history
        self._project = project
        self._read: dict[int, DefinitionChange | None] = {}

    async def of(self, version: int) -> DefinitionChange | None:
        """Return what was written at an offset, None where that is no definition of the project.

        Raises:
            Removed: ``definitions`` has it no more.
            KafkaError: the broker does not answer.
        """
        if version not in self._read:
            record = await self._reader.at(self._reader.place(DEFINITIONS, 0), version)
            try:
                change = read_change(record.key, record.value, record.offset, record.timestamp)
            except models.DefinitionError:
                change = None
            ours = change is not None and change.project == self._project
            self._read[version] = change if ours else None
        return self._read[version]

    async def challenges(self, versions: Iterable[int]) -> Mapping[int, Challenge]:
        """Return the rules of a challenge by its versions; see ``of``."""
        rules = {}
        for version in sorted(set(versions)):
            change = await self.of(version)
            if change is not None and isinstance(change.definition, models.Challenge):
                rules[version] = compile_challenge(_stored(change), _ANY_ZONE)
        return rules

    def all_of(self, named: Named) -> Sequence[int]:
        """Return every version of a definition, rising."""
        return self._history.versions_of(self._project, named.kind, named.id)

    async def streaks(self, versions: Iterable[int]) -> Mapping[int, tuple[Streak, frozenset[str]]]:
        """Return the rules of a streak by its versions, and the events that each names; see
        ``of``."""
        rules = {}
        for version in sorted(set(versions)):
            change = await self.of(version)
            if change is not None and isinstance(change.definition, models.Streak):
                names = frozenset(change.definition.event_ids)
                rules[version] = compile_streak(_stored(change), _ANY_ZONE), names
        return rules

    async def tier_set(self, version: int) -> TierSet | None:
        """Return the rule of a tier set, None where the version is none; see ``of``."""
        change = await self.of(version)
        if change is None or not isinstance(change.definition, models.TierSet):
            return None
        return compile_tier_set(_stored(change), _ANY_ZONE)

    async def defined_since(self, named: Named, version: int) -> datetime:
        """Return since when a definition was in force without a break, as it had a version; see
        ``of``."""
        first = self._history.first_of(self._project, named.kind, named.id, version)
        change = await self.of(version if first is None else first)
        if change is None:
            raise Removed(f"definitions: {first} of {named.id}")
        return change.at

    def before(self, named: Named, offset: int) -> int | None:
        """Return the version of a definition that a chunk was folded under, which knew the records
        before ``offset``."""
        return self._history.version_before(self._project, named.kind, named.id, offset)


def _stored(change: DefinitionChange) -> Stored:
    assert change.definition is not None
    return Stored(
        change.project,
        change.kind,
        change.id,
        change.definition,
        change.offset,
        change.at,
        change.at,
    )


def compiled(definitions: DefinitionSet, stored: Stored) -> Challenge:
    """Return the rule of a challenge that is in force."""
    project = stored.project
    zone = Zone(definitions.timezone(project), definitions.goes_by_member(project))
    return compile_challenge(stored, zone)

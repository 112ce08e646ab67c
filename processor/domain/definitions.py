"""The definitions in force: what the fold looks up, compiled once when a definition is read."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from schemas import definitions as models
from schemas.amounts import nanos_of
from schemas.definition_records import read_change

_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Stored:
    """One definition as it stands on the topic.

    ``version`` is its offset. ``created_at`` is the timestamp of the first record since the key
    last had none, so that every reader of the topic says the same.
    """

    project: str
    kind: str
    id: str
    definition: models.Definition
    version: int
    created_at: datetime
    updated_at: datetime

    def record(self) -> dict[str, Any]:
        """Return the record that the HTTP face shows: the fields and when they were written."""
        return models.wire_fields(self.definition) | {
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


@dataclass(frozen=True, slots=True)
class Milestone:
    """A threshold in nanos; ``json`` is its record, ready to be embedded."""

    id: str
    target: int
    live: bool
    json: Raw
    version: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as the fold needs it: amounts in nanos, its milestones by rising target."""

    id: str
    live: bool
    method: str
    period: str
    target: int
    timezone: str
    starts_at: datetime | None
    ends_at: datetime | None
    activity_ids: frozenset[str] | None
    json: Raw
    version: int
    milestones: tuple[Milestone, ...] = ()


_Linked = tuple[str, str, str]
"""What a milestone belongs to: project, slug and id."""


class Definitions:
    """All definitions in force up to an offset. ``apply`` is the only thing that changes them."""

    def __init__(self) -> None:
        self.next_offset = 0
        """The offset in ``definitions`` up to which (exclusive) records were applied."""
        self._stored: dict[str, Stored] = {}
        self._challenges: dict[tuple[str, str], Challenge] = {}
        self._milestones: dict[_Linked, dict[str, Milestone]] = {}

    def apply(self, key: bytes | None, value: bytes | None, offset: int, millis: int) -> None:
        """Take one record of the topic; ``millis`` is its timestamp.

        Raises:
            DefinitionError: key or value is no definition; what was in force stays in force.
        """
        self.next_offset = offset + 1
        change = read_change(key, value, offset, millis)
        text = models.definition_key(change.project, change.kind, change.id)
        before = self._stored.get(text)
        if change.definition is None:
            self._stored.pop(text, None)
        else:
            self._stored[text] = Stored(
                project=change.project,
                kind=change.kind,
                id=change.id,
                definition=change.definition,
                version=offset,
                created_at=before.created_at if before else change.at,
                updated_at=change.at,
            )
        self._compile(change.project, change.kind, change.id, before, self._stored.get(text))

    def challenge(self, project: str, challenge_id: str) -> Challenge | None:
        """Return a project's challenge with its milestones, None where it has no such one."""
        return self._challenges.get((project, challenge_id))

    def milestone(self, project: str, milestone_id: str) -> Milestone | None:
        """Return a project's milestone of any challenge."""
        stored = self.get(project, "milestone", milestone_id)
        if stored is None:
            return None
        return self._milestones.get(_linked(stored), {}).get(milestone_id)

    def timezone(self, project: str) -> str:
        """Return a project's time zone, UTC where it has set none."""
        stored = self.get(project, "project", project)
        if stored is None:
            return "UTC"
        assert isinstance(stored.definition, models.Project)
        return stored.definition.timezone

    def get(self, project: str, kind: str, definition_id: str) -> Stored | None:
        """Return one definition as stored."""
        return self._stored.get(models.definition_key(project, kind, definition_id))

    def of(self, project: str, kind: str) -> Iterator[Stored]:
        """Iterate over a project's definitions of a kind, in the order they were first written."""
        return (s for s in self._stored.values() if s.project == project and s.kind == kind)

    def _compile(
        self, project: str, kind: str, id_: str, before: Stored | None, after: Stored | None
    ) -> None:
        if kind == "challenge":
            self._compile_challenge(project, id_)
        elif kind == "milestone":
            for stored in (before, after):
                if stored is not None:
                    linked = _linked(stored)
                    self._milestones.get(linked, {}).pop(id_, None)
                    if stored is after:
                        self._milestones.setdefault(linked, {})[id_] = _milestone(stored)
                    self._attach_milestones(linked)
        elif kind == "project":
            for stored in list(self.of(project, "challenge")):
                self._compile_challenge(project, stored.id)

    def _compile_challenge(self, project: str, id_: str) -> None:
        stored = self.get(project, "challenge", id_)
        if stored is None:
            self._challenges.pop((project, id_), None)
            return
        self._challenges[project, id_] = _challenge(stored, self.timezone(project))
        self._attach_milestones((project, "challenge", id_))

    def _attach_milestones(self, linked: _Linked) -> None:
        project, slug, id_ = linked
        challenge = self._challenges.get((project, id_))
        if challenge is not None and slug == "challenge":
            milestones = sorted(
                self._milestones.get(linked, {}).values(), key=lambda m: (m.target, m.id)
            )
            self._challenges[project, id_] = replace(challenge, milestones=tuple(milestones))


def _challenge(stored: Stored, project_timezone: str) -> Challenge:
    definition = stored.definition
    assert isinstance(definition, models.Challenge)
    ids = definition.activity_ids
    return Challenge(
        id=definition.id,
        live=definition.status == "live",
        method=definition.aggregation_method,
        period=definition.aggregation_period,
        target=nanos_of(definition.completion_target_value),
        timezone=definition.timezone or project_timezone,
        starts_at=definition.starts_at,
        ends_at=definition.ends_at,
        activity_ids=None if ids is None else frozenset(ids),
        json=Raw(_JSON.encode(stored.record())),
        version=stored.version,
    )


def _linked(stored: Stored) -> _Linked:
    definition = stored.definition
    assert isinstance(definition, models.Milestone)
    return stored.project, definition.linked_schema_slug, definition.linked_schema_record_id


def _milestone(stored: Stored) -> Milestone:
    definition = stored.definition
    assert isinstance(definition, models.Milestone)
    return Milestone(
        id=definition.id,
        target=nanos_of(definition.milestone_target_value),
        live=definition.status == "live",
        json=Raw(_JSON.encode(stored.record())),
        version=stored.version,
    )

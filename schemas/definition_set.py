"""The definitions in force, as they stand on the topic `definitions`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas import definitions as models
from schemas.definition_records import read_change

DefinitionKey = tuple[str, str, str]
"""Project, kind and id of a definition."""

_NO_LIMITS_SET = models.Limits()


@dataclass(frozen=True, slots=True)
class Stored:
    """One definition as it stands on the topic.

    ``version`` is its offset. ``created_at`` and ``first`` are the timestamp and the offset of the
    first record since the key last had none, so that every reader of the topic says the same.
    ``size`` is how many bytes the value of its latest record has.
    """

    project: str
    kind: str
    id: str
    definition: models.Definition
    version: int
    created_at: datetime
    updated_at: datetime
    first: int = 0
    size: int = 0

    def record(self) -> dict[str, Any]:
        """Return the record that the HTTP face shows: the fields and when they were written."""
        return models.wire_fields(self.definition) | {
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


class DefinitionSet:
    """All definitions in force up to an offset. ``apply`` is what changes them, or ``put`` in a set
    that goes by another.

    What is in force follows from the records of the topic alone, in their order: each is held
    against the bounds as they are at its place. So all readers refuse the same ones, whenever they
    read.

    Args:
        bounded_in_bytes: whether ``Limits.definition_bytes`` holds; not for a part of the topic,
            which does not say what else a project has.
    """

    def __init__(self, *, bounded_in_bytes: bool = True) -> None:
        self._bounded_in_bytes = bounded_in_bytes
        self.next_offset = 0
        """The offset in ``definitions`` up to which (exclusive) records were applied."""
        self._stored: dict[tuple[str, str], dict[str, Stored]] = {}
        """By project and kind, then by id."""
        self._bytes: dict[str, int] = {}
        """Of each project, the sizes of what is stored together."""
        self._projects: dict[str, models.Project] = {}
        """The settings of the projects that have some."""
        self.clocks: dict[str, datetime] = {}
        """The projects that have, or had, a clock that is moved by hand: the moment at which it
        stands until it is first moved, the timestamp of the record that gave it to the project."""
        self._linked_to: dict[DefinitionKey, set[str]] = {}
        """The ids of milestones, by what they are linked to."""
        self._named_by: dict[DefinitionKey, set[str]] = {}
        """By project, kind and event: the definitions of the kind that name the event."""

    def apply(self, key: bytes | None, value: bytes | None, offset: int, millis: int) -> None:
        """Take one record of the topic; ``millis`` is its timestamp.

        Raises:
            DefinitionError: key or value is no definition, or there are too many of its kind or
                too many bytes; what was in force stays in force.
        """
        self.next_offset = offset + 1
        change = read_change(key, value, offset, millis)
        size = len(value or b"")
        if change.definition is not None:
            self.check_room(change.project, change.definition)
            self.check_bytes(change.project, change.definition, size)
        place = change.project, change.kind, change.id
        before = self.get(*place)
        if change.definition is None:
            self.put(place, None)
            return
        stored = Stored(
            project=change.project,
            kind=change.kind,
            id=change.id,
            definition=change.definition,
            version=offset,
            created_at=before.created_at if before else change.at,
            updated_at=change.at,
            first=before.first if before else offset,
            size=size,
        )
        self.put(place, stored)

    def put(self, key: DefinitionKey, after: Stored | None) -> None:
        """Have a definition in force as another set has it, None: have none."""
        project, kind, id_ = key
        size = 0 if after is None else after.size
        self._bytes[project] = self._bytes_with(project, kind, id_, size)
        stored = self._stored.setdefault((project, kind), {})
        before = stored.pop(id_, None) if after is None else stored.get(id_)
        if after is not None:
            stored[id_] = after
        self._index(before, after)
        self.changed(key, before, after)

    def changed(self, key: DefinitionKey, before: Stored | None, after: Stored | None) -> None:
        """Called after each change, for what is derived from definitions."""

    def check_room(self, project: str, definition: models.Definition) -> None:
        """Check that what is linked to, or fed, has room for one more (contract, "Bounds").

        Raises:
            DefinitionError: with the field at fault.
        """
        if isinstance(definition, models.Milestone):
            linked = link_of(project, definition)
            others = self._linked_to.get(linked, set()) - {definition.id}
            if len(others) >= models.MAX_MILESTONES:
                message = f"has {models.MAX_MILESTONES} milestones already, which is the most"
                raise models.DefinitionError([("linkedSchemaRecordId", message)])
        if isinstance(definition, models.TierSet):
            stored = self._stored.get((project, definition.kind), {})
            if len(stored.keys() - {definition.id}) >= models.MAX_TIER_SETS:
                message = f"the project has {models.MAX_TIER_SETS} tier sets, which is the most"
                raise models.DefinitionError([("id", message)])
        most = _MOST_FED.get(definition.kind, 0)
        for event_id in dict.fromkeys(_events_of(definition)):
            others = self._named_by.get((project, definition.kind, event_id), set())
            if len(others - {definition.id}) >= most:
                message = f"the event {event_id} feeds {most} {definition.kind}s, which is the most"
                raise models.DefinitionError([("eventIds", message)])

    def check_bytes(self, project: str, definition: models.Definition, size: int) -> None:
        """Check that a project has room for a definition of ``size`` bytes.

        What takes no more than before is never refused: limits may have been lowered. Nor are the
        project's own settings, which raise them.

        Raises:
            DefinitionError: of no field.
        """
        settings = isinstance(definition, models.Project) and definition.id == project
        if settings or not self._bounded_in_bytes:
            return
        most = self.limits(project).definition_bytes
        after = self._bytes_with(project, definition.kind, definition.id, size)
        if after > max(most, self._bytes.get(project, 0)):
            message = (
                f"the definitions of project {project} would have {after} bytes in all, and may "
                f"have {most} (limits.definitionBytes)"
            )
            raise models.DefinitionError([("", message)])

    def _bytes_with(self, project: str, kind: str, definition_id: str, size: int) -> int:
        """Return how many bytes a project's definitions have where one has ``size`` of them."""
        replaced = self.get(project, kind, definition_id)
        return self._bytes.get(project, 0) + size - (0 if replaced is None else replaced.size)

    def timezone(self, project: str) -> str:
        """Return a project's time zone, UTC where it has set none or goes by each member's."""
        settings = self._projects.get(project)
        if settings is None or settings.timezone == models.MEMBER_ZONE:
            return "UTC"
        return settings.timezone

    def goes_by_member(self, project: str) -> bool:
        """Tell whether what has no time zone of its own goes by each member's."""
        settings = self._projects.get(project)
        return settings is not None and settings.timezone == models.MEMBER_ZONE

    def member_spend(self, project: str) -> bool:
        """Tell whether a project's end users may spend and hold their points themselves."""
        settings = self._projects.get(project)
        return settings is not None and settings.member_spend

    def is_manual(self, project: str) -> bool:
        """Tell whether the clock of a project is moved by hand, by its definition."""
        settings = self._projects.get(project)
        return settings is not None and settings.clock == models.MANUAL

    def changes_clock(self, project: str, settings: models.Project) -> bool:
        """Tell whether settings would give a project another clock than it has, which it may get
        only while it has no members; without settings its clock is that of default ones."""
        return (settings.clock == models.MANUAL) != self.is_manual(project)

    def limits(self, project: str) -> models.Limits:
        """Return what a project's callers may take."""
        settings = self._projects.get(project)
        return _NO_LIMITS_SET if settings is None else settings.limits

    def get(self, project: str, kind: str, definition_id: str) -> Stored | None:
        """Return one definition as stored."""
        return self._stored.get((project, kind), {}).get(definition_id)

    def count(self, project: str, kind: str) -> int:
        """Return how many definitions of a kind a project has."""
        return len(self._stored.get((project, kind), {}))

    def of(self, project: str, kind: str) -> Iterator[Stored]:
        """Iterate over a project's definitions of a kind, in the order they were first written."""
        return iter(self._stored.get((project, kind), {}).values())

    def named_by(self, project: str, kind: str, event_id: str) -> list[Stored]:
        """Return the definitions of a kind that name an event, as they were first written."""
        stored = self._stored.get((project, kind), {})
        named_by = self._named_by.get((project, kind, event_id), set())
        return sorted((stored[id_] for id_ in named_by), key=lambda each: each.first)

    def _index(self, before: Stored | None, after: Stored | None) -> None:
        """Update the projects' settings, and what names an event or is linked to a definition."""
        if after is not None and _is_manual(after) and (before is None or not _is_manual(before)):
            self.clocks[after.project] = after.updated_at
        for stored in (before, after):
            if stored is None:
                continue
            places = [
                (self._named_by, (stored.project, stored.kind, event_id))
                for event_id in _events_of(stored.definition)
            ]
            if isinstance(stored.definition, models.Project) and stored.id == stored.project:
                self._projects.pop(stored.project, None)
                if stored is after:
                    self._projects[stored.project] = stored.definition
            if isinstance(stored.definition, models.Milestone):
                places.append((self._linked_to, link_of(stored.project, stored.definition)))
            for index, place in places:
                if stored is after:
                    index.setdefault(place, set()).add(stored.id)
                elif place in index:
                    index[place].discard(stored.id)


_MOST_FED = {"challenge": models.MAX_CHALLENGES_FED, "streak": models.MAX_STREAKS_FED}


def _events_of(definition: models.Definition) -> Sequence[str]:
    """Return the events that feed a definition."""
    if isinstance(definition, models.Challenge | models.Streak):
        return definition.event_ids or ()
    return ()


def _is_manual(stored: Stored) -> bool:
    """Tell whether these are a project's settings, and its clock is moved by hand."""
    definition = stored.definition
    return (
        isinstance(definition, models.Project)
        and stored.id == stored.project
        and definition.clock == models.MANUAL
    )


def link_of(project: str, milestone: models.Milestone) -> DefinitionKey:
    """Return the key of what a milestone is linked to."""
    return project, milestone.linked_schema_slug, milestone.linked_schema_record_id

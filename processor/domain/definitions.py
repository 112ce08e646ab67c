"""The definitions in force: what the fold looks up, compiled once when a definition is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from processor.domain.rules import (
    Challenge,
    Event,
    Milestone,
    Pathway,
    Stored,
    Streak,
    Subscriptions,
    compile_challenge,
    compile_event,
    compile_milestone,
    compile_pathway,
    compile_streak,
)
from schemas import definitions as models
from schemas.definition_records import read_change

__all__ = ["Definitions", "Stored"]

_COMPILE: Mapping[str, Callable[[Stored, str], Any]] = {
    "challenge": compile_challenge,
    "event": compile_event,
    "streak": compile_streak,
    "pathway": compile_pathway,
}

_NO_LIMITS_SET = models.Limits()

_Place = tuple[str, str, str]
"""Project, kind and id of a definition."""


class Definitions:
    """All definitions in force up to an offset. ``apply`` is the only thing that changes them."""

    def __init__(self) -> None:
        self.next_offset = 0
        """The offset in ``definitions`` up to which (exclusive) records were applied."""
        self._stored: dict[tuple[str, str], dict[str, Stored]] = {}
        """By project and kind, then by id."""
        self._rules: dict[_Place, Any] = {}
        """The compiled definitions of the kinds in ``_COMPILE``."""
        self._milestones: dict[_Place, dict[str, Milestone]] = {}
        """By what they are linked to."""
        self._projects: dict[str, models.Project] = {}
        """The settings of the projects that have some."""
        self._subscriptions: dict[tuple[str, str], Subscriptions] = {}
        """By event; made when first asked for, forgotten with every change."""
        self._named_by: dict[_Place, set[str]] = {}
        """By project, kind and event: the definitions of the kind that name the event."""

    def apply(self, key: bytes | None, value: bytes | None, offset: int, millis: int) -> None:
        """Take one record of the topic; ``millis`` is its timestamp.

        Raises:
            DefinitionError: key or value is no definition, or there are too many of its kind;
                what was in force stays in force.
        """
        self.next_offset = offset + 1
        change = read_change(key, value, offset, millis)
        if change.definition is not None:
            self.check_room(change.project, change.definition)
        stored = self._stored.setdefault((change.project, change.kind), {})
        before = stored.get(change.id)
        if change.definition is None:
            stored.pop(change.id, None)
        else:
            stored[change.id] = Stored(
                project=change.project,
                kind=change.kind,
                id=change.id,
                definition=change.definition,
                version=offset,
                created_at=before.created_at if before else change.at,
                updated_at=change.at,
                first=before.first if before else offset,
            )
        self._name_events(before, stored.get(change.id))
        self._compile(change.project, change.kind, change.id, before, stored.get(change.id))

    def check_room(self, project: str, definition: models.Definition) -> None:
        """Check that what is linked to, or fed, has room for one more (contract, "Bounds").

        Raises:
            DefinitionError: with the field at fault.
        """
        if isinstance(definition, models.Milestone):
            linked = _link(project, definition)
            others = self._milestones.get(linked, {}).keys() - {definition.id}
            if len(others) >= models.MAX_MILESTONES:
                message = f"has {models.MAX_MILESTONES} milestones already, which is the most"
                raise models.DefinitionError([("linkedSchemaRecordId", message)])
        most = _MOST_FED.get(definition.kind, 0)
        for event_id in dict.fromkeys(_events_of(definition)):
            others = self._named_by.get((project, definition.kind, event_id), set())
            if len(others - {definition.id}) >= most:
                message = f"the event {event_id} feeds {most} {definition.kind}s, which is the most"
                raise models.DefinitionError([("eventIds", message)])

    def challenge(self, project: str, challenge_id: str) -> Challenge | None:
        """Return a project's challenge with its milestones, None where it has no such one."""
        return cast("Challenge | None", self._rules.get((project, "challenge", challenge_id)))

    def milestone(self, project: str, milestone_id: str) -> Milestone | None:
        """Return a project's milestone of any challenge."""
        stored = self.get(project, "milestone", milestone_id)
        if stored is None:
            return None
        return self._milestones.get(_linked(stored), {}).get(milestone_id)

    def event(self, project: str, event_id: str) -> Event | None:
        """Return a project's event, None where it has no such one."""
        return cast("Event | None", self._rules.get((project, "event", event_id)))

    def streak(self, project: str, streak_id: str) -> Streak | None:
        """Return a project's streak with its milestones, None where it has no such one."""
        return cast("Streak | None", self._rules.get((project, "streak", streak_id)))

    def pathway(self, project: str, pathway_id: str) -> Pathway | None:
        """Return a project's pathway with its milestones, None where it has no such one."""
        return cast("Pathway | None", self._rules.get((project, "pathway", pathway_id)))

    def subscribers_of(self, project: str, event_id: str) -> Subscriptions:
        """Return what an event moves: the challenges and streaks that name it."""
        found = self._subscriptions.get((project, event_id))
        if found is None:
            found = self._subscriptions[project, event_id] = Subscriptions(
                tuple(self._naming(project, "challenge", event_id)),
                tuple(self._naming(project, "streak", event_id)),
            )
        return found

    def timezone(self, project: str) -> str:
        """Return a project's time zone, UTC where it has set none."""
        settings = self._projects.get(project)
        return "UTC" if settings is None else settings.timezone

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

    def _naming(self, project: str, kind: str, event_id: str) -> Iterator[Any]:
        """Iterate over the rules of a kind that name an event, as they were first written."""
        stored = self._stored.get((project, kind), {})
        named_by = self._named_by.get((project, kind, event_id), set())
        for id_ in sorted(named_by, key=lambda id_: stored[id_].first):
            yield self._rules[project, kind, id_]

    def _name_events(self, before: Stored | None, after: Stored | None) -> None:
        """Bring it up to date which definitions name which events."""
        for stored in (before, after):
            if stored is None:
                continue
            for event_id in _events_of(stored.definition):
                place = stored.project, stored.kind, event_id
                if stored is after:
                    self._named_by.setdefault(place, set()).add(stored.id)
                elif place in self._named_by:
                    self._named_by[place].discard(stored.id)

    def _compile(
        self, project: str, kind: str, id_: str, before: Stored | None, after: Stored | None
    ) -> None:
        for place in [place for place in self._subscriptions if place[0] == project]:
            del self._subscriptions[place]
        if kind in _COMPILE:
            self._compile_one(project, kind, id_)
        elif kind == "milestone":
            for stored in (before, after):
                if stored is not None:
                    linked = _linked(stored)
                    self._milestones.get(linked, {}).pop(id_, None)
                    if stored is after:
                        self._milestones.setdefault(linked, {})[id_] = compile_milestone(stored)
                    self._attach_milestones(linked)
        elif kind == "project":  # its time zone is that of what has none of its own
            self._projects.pop(project, None)
            if after is not None and after.id == project:
                assert isinstance(after.definition, models.Project)
                self._projects[project] = after.definition
            for dependent in _COMPILE:
                for stored in list(self.of(project, dependent)):
                    self._compile_one(project, dependent, stored.id)

    def _compile_one(self, project: str, kind: str, id_: str) -> None:
        stored = self.get(project, kind, id_)
        if stored is None:
            self._rules.pop((project, kind, id_), None)
            return
        self._rules[project, kind, id_] = _COMPILE[kind](stored, self.timezone(project))
        self._attach_milestones((project, kind, id_))

    def _attach_milestones(self, linked: _Place) -> None:
        rule, milestones = self._rules.get(linked), self._milestones.get(linked)
        if rule is not None and milestones is not None:
            rising = sorted(milestones.values(), key=lambda m: (m.target, m.id))
            self._rules[linked] = replace(rule, milestones=tuple(rising))


_MOST_FED = {"challenge": models.MAX_CHALLENGES_FED, "streak": models.MAX_STREAKS_FED}


def _events_of(definition: models.Definition) -> Sequence[str]:
    """Return the events that feed a definition."""
    if isinstance(definition, models.Challenge | models.Streak):
        return definition.event_ids or ()
    return ()


def _linked(stored: Stored) -> _Place:
    assert isinstance(stored.definition, models.Milestone)
    return _link(stored.project, stored.definition)


def _link(project: str, milestone: models.Milestone) -> _Place:
    return project, milestone.linked_schema_slug, milestone.linked_schema_record_id

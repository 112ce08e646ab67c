"""The definitions in force: what the fold looks up, compiled once when a definition is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from processor.domain.rules import (
    Challenge,
    Event,
    Fed,
    Milestone,
    Pathway,
    Stored,
    Streak,
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
        self._fed: dict[tuple[str, str], Fed] = {}
        """By event; made when first asked for, forgotten with every change."""

    def apply(self, key: bytes | None, value: bytes | None, offset: int, millis: int) -> None:
        """Take one record of the topic; ``millis`` is its timestamp.

        Raises:
            DefinitionError: key or value is no definition; what was in force stays in force.
        """
        self.next_offset = offset + 1
        change = read_change(key, value, offset, millis)
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
            )
        self._compile(change.project, change.kind, change.id, before, stored.get(change.id))

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

    def fed_by(self, project: str, event_id: str) -> Fed:
        """Return what an event moves: the challenges and streaks that name it."""
        fed = self._fed.get((project, event_id))
        if fed is None:
            fed = self._fed[project, event_id] = Fed(
                tuple(self._naming(project, "challenge", event_id)),
                tuple(self._naming(project, "streak", event_id)),
            )
        return fed

    def timezone(self, project: str) -> str:
        """Return a project's time zone, UTC where it has set none."""
        stored = self.get(project, "project", project)
        if stored is None:
            return "UTC"
        assert isinstance(stored.definition, models.Project)
        return stored.definition.timezone

    def get(self, project: str, kind: str, definition_id: str) -> Stored | None:
        """Return one definition as stored."""
        return self._stored.get((project, kind), {}).get(definition_id)

    def of(self, project: str, kind: str) -> Iterator[Stored]:
        """Iterate over a project's definitions of a kind, in the order they were first written."""
        return iter(self._stored.get((project, kind), {}).values())

    def _naming(self, project: str, kind: str, event_id: str) -> Iterator[Any]:
        for stored in self.of(project, kind):
            definition = stored.definition
            assert isinstance(definition, models.Challenge | models.Streak)
            if event_id in (definition.event_ids or ()):
                yield self._rules[project, kind, stored.id]

    def _compile(
        self, project: str, kind: str, id_: str, before: Stored | None, after: Stored | None
    ) -> None:
        for place in [place for place in self._fed if place[0] == project]:
            del self._fed[place]
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


def _linked(stored: Stored) -> _Place:
    definition = stored.definition
    assert isinstance(definition, models.Milestone)
    return stored.project, definition.linked_schema_slug, definition.linked_schema_record_id

"""The definitions in force: what the fold looks up, compiled once when a definition is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from schemas import definitions as models
from schemas.amounts import nanos_of
from schemas.definition_records import read_change

DEFAULT_GROUP = "_default"
"""The challenge group of points that name none."""

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
    points: int = 0


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as the fold needs it: amounts in nanos, its milestones by rising target.

    ``activity_ids`` has the events that feed it as well: what they log bears their name.
    """

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
    value_field: str | None = None
    points: int = 0
    group: str = DEFAULT_GROUP


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the fold needs it: ``rewards`` by user group and ``maximum`` in nanos."""

    id: str
    title: str
    active: bool
    type: str
    rewards: Mapping[str, int]
    value_field: str | None
    limit: int | None
    limit_period: str
    maximum: int | None
    conditions: models.Condition | None
    fields: tuple[models.MetadataField, ...]
    requires_api_key: bool
    group: str
    version: int


@dataclass(frozen=True, slots=True)
class Streak:
    """A streak as the fold needs it, its milestones by rising target."""

    id: str
    period: str
    target: int
    timezone: str
    freezes: int
    version: int
    milestones: tuple[Milestone, ...] = ()


class Fed(NamedTuple):
    """What an event moves."""

    challenges: tuple[Challenge, ...]
    streaks: tuple[Streak, ...]


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
        self._events: dict[tuple[str, str], Event] = {}
        self._streaks: dict[tuple[str, str], Streak] = {}
        self._fed: dict[tuple[str, str], Fed] = {}
        """By event; made when first asked for, forgotten with every change."""

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

    def event(self, project: str, event_id: str) -> Event | None:
        """Return a project's event, None where it has no such one."""
        return self._events.get((project, event_id))

    def streak(self, project: str, streak_id: str) -> Streak | None:
        """Return a project's streak with its milestones, None where it has no such one."""
        return self._streaks.get((project, streak_id))

    def fed_by(self, project: str, event_id: str) -> Fed:
        """Return what an event moves: the challenges and streaks that name it."""
        fed = self._fed.get((project, event_id))
        if fed is None:
            challenges, streaks = [], []
            for stored in (*self.of(project, "challenge"), *self.of(project, "streak")):
                definition = stored.definition
                assert isinstance(definition, models.Challenge | models.Streak)
                if event_id not in (definition.event_ids or ()):
                    continue
                if isinstance(definition, models.Challenge):
                    challenges.append(self._challenges[project, stored.id])
                else:
                    streaks.append(self._streaks[project, stored.id])
            fed = self._fed[project, event_id] = Fed(tuple(challenges), tuple(streaks))
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
        return self._stored.get(models.definition_key(project, kind, definition_id))

    def of(self, project: str, kind: str) -> Iterator[Stored]:
        """Iterate over a project's definitions of a kind, in the order they were first written."""
        return (s for s in self._stored.values() if s.project == project and s.kind == kind)

    def _compile(
        self, project: str, kind: str, id_: str, before: Stored | None, after: Stored | None
    ) -> None:
        self._fed.clear()
        if kind == "challenge":
            self._compile_challenge(project, id_)
        elif kind == "streak":
            self._compile_streak(project, id_)
        elif kind == "event":
            if after is None:
                self._events.pop((project, id_), None)
            else:
                self._events[project, id_] = _event(after)
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
            for stored in list(self.of(project, "streak")):
                self._compile_streak(project, stored.id)

    def _compile_challenge(self, project: str, id_: str) -> None:
        stored = self.get(project, "challenge", id_)
        if stored is None:
            self._challenges.pop((project, id_), None)
            return
        self._challenges[project, id_] = _challenge(stored, self.timezone(project))
        self._attach_milestones((project, "challenge", id_))

    def _compile_streak(self, project: str, id_: str) -> None:
        stored = self.get(project, "streak", id_)
        if stored is None:
            self._streaks.pop((project, id_), None)
            return
        self._streaks[project, id_] = _streak(stored, self.timezone(project))
        self._attach_milestones((project, "streak", id_))

    def _attach_milestones(self, linked: _Linked) -> None:
        project, slug, id_ = linked
        milestones = tuple(
            sorted(self._milestones.get(linked, {}).values(), key=lambda m: (m.target, m.id))
        )
        challenge = self._challenges.get((project, id_))
        if challenge is not None and slug == "challenge":
            self._challenges[project, id_] = replace(challenge, milestones=milestones)
        streak = self._streaks.get((project, id_))
        if streak is not None and slug == "streak":
            self._streaks[project, id_] = replace(streak, milestones=milestones)


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
        activity_ids=None if ids is None else frozenset(ids).union(definition.event_ids or ()),
        json=Raw(_JSON.encode(stored.record())),
        version=stored.version,
        value_field=definition.value_field,
        points=definition.points_on_completion or 0,
        group=definition.challenge_group,
    )


def _event(stored: Stored) -> Event:
    definition = stored.definition
    assert isinstance(definition, models.Event)
    maximum = definition.maximum_reward
    return Event(
        id=definition.id,
        title=definition.title,
        active=definition.status == "ACTIVE",
        type=definition.type,
        rewards={group: nanos_of(reward) for group, reward in definition.reward.items()},
        value_field=definition.reward_value_field,
        limit=definition.limit,
        limit_period="all_time"
        if definition.limit_period == "unlimited"
        else definition.limit_period,
        maximum=None if maximum is None else nanos_of(maximum),
        conditions=definition.conditions,
        fields=tuple(definition.metadata_fields or ()),
        requires_api_key=definition.requires_api_key,
        group=definition.challenge_group,
        version=stored.version,
    )


def _streak(stored: Stored, project_timezone: str) -> Streak:
    definition = stored.definition
    assert isinstance(definition, models.Streak)
    return Streak(
        id=definition.id,
        period=definition.period,
        target=definition.target_length,
        timezone=definition.timezone or project_timezone,
        freezes=definition.freezes,
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
        points=definition.points or 0,
    )

"""Figures: what folded chunks come to, added up by definition and month.

Each thing is counted once, in the row of the definition that gave it, in the month of its own time:
so rows add up. What a void takes back is taken from the row in which it was counted; only a
pathway's activity logs stay counted, as nothing says of which time a voided one was.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import Raw

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.period import local_date
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.rules import Zone
from processor.domain.state_kinds import LOG, MEMBER, log_key, member_key
from processor.domain.working_set import Load
from schemas import event_types as types
from schemas.topics import (
    EVENT_RESULTS,
    MILESTONE_EVENTS,
    PATHWAY_EVENTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    REWARD_EVENTS,
    STREAK_EVENTS,
)

ROW_PREFIX = b"="
"""Begins the keys of the entries that say in which row something was counted: no kind of state has
it, so that they can lie in the same store."""

_WHOLLY = b"1"
"""The portion of what is voided altogether."""


class Row(NamedTuple):
    """What is added up: a definition, and a month as ``2026-11``."""

    kind: str
    id: str
    month: str


@dataclass(slots=True)
class Counts:
    """The figures of a row.

    ``counted`` are a challenge's logs and an event's that counted, a streak's periods, a pathway's
    activity logs. ``points`` are those that the definition gave by itself, ``rewards`` the reward
    logs of a milestone. ``completions`` are completed challenges, streaks and pathways, and how
    often a milestone was reached.
    """

    counted: int = 0
    points: int = 0
    rewards: int = 0
    completions: int = 0


class Figure(msgspec.Struct, kw_only=True, rename="camel"):
    """One row as it is shown: under the definitions that were tried, and under those in force."""

    kind: str
    id: str
    month: str
    counted: int
    points: int
    rewards: int
    completions: int
    in_force: Counts


@dataclass
class Figures:
    """All rows, and how many inputs were refused for which reason."""

    rows: dict[Row, Counts] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def row(self, row: Row) -> Counts:
        """Return the counts of a row, to be added to."""
        counts = self.rows.get(row)
        if counts is None:
            counts = self.rows[row] = Counts()
        return counts


def beside(tried: Figures, in_force: Figures) -> list[Figure]:
    """Return the rows of both worlds in order; those where both have nothing are left out."""
    nothing = Counts()
    figures = []
    for row in sorted(tried.rows.keys() | in_force.rows.keys()):
        here, there = tried.rows.get(row, nothing), in_force.rows.get(row, nothing)
        if here != nothing or there != nothing:
            figures.append(
                Figure(
                    kind=row.kind,
                    id=row.id,
                    month=row.month,
                    counted=here.counted,
                    points=here.points,
                    rewards=here.rewards,
                    completions=here.completions,
                    in_force=there,
                )
            )
    return figures


class Calendar:
    """Tells the month of a moment in the zone of a definition.

    The zone is that of the first of ``sets`` that has the definition, so that two worlds that are
    compared have the same months. What none has goes by the zone of the last one's project.
    """

    def __init__(self, project: str, *sets: Definitions) -> None:
        self._project = project
        self._sets = sets

    def month(
        self, kind: str, id_: str, moment: datetime, timezone: Callable[[], str | None]
    ) -> str:
        """Return the month of a moment; ``timezone`` tells the member's own."""
        zone = self._zone(kind, id_)
        name = zone.name
        if zone.by_member:
            name = timezone() or name
        return _month(local_date(name, moment))

    def _zone(self, kind: str, id_: str) -> Zone:
        for definitions in self._sets:
            if definitions.get(self._project, kind, id_) is not None:
                return self._of(definitions, kind, id_)
        return self._of_project(self._sets[-1])

    def _of(self, definitions: Definitions, kind: str, id_: str) -> Zone:
        owner: tuple[str, str] | None = kind, id_
        if kind == "milestone":
            owner = definitions.owner_of_milestone(self._project, id_)
        rule: member_of.GoesByZone | None = None
        if owner is not None and owner[0] == "challenge":
            rule = definitions.challenge(self._project, owner[1])
        elif owner is not None and owner[0] == "streak":
            rule = definitions.streak(self._project, owner[1])
        if rule is None:
            return self._of_project(definitions)
        return Zone(rule.timezone, rule.by_member)

    def _of_project(self, definitions: Definitions) -> Zone:
        project = self._project
        return Zone(definitions.timezone(project), definitions.goes_by_member(project))


@lru_cache(maxsize=1024)
def _month(day: date) -> str:
    return f"{day.year:04}-{day.month:02}"


class _Data(msgspec.Struct, rename="camel", gc=False):
    """The fields of all outputs' ``data`` that figures are made of."""

    id: str = ""
    challenge_id: str = ""
    milestone_id: str = ""
    streak_id: str = ""
    pathway_id: str = ""
    event_id: str | None = None
    action_id: str = ""
    points: int = 0
    period_key: str = ""
    activity_at: datetime | None = None
    occurred_at: datetime | None = None
    granted_at: datetime | None = None
    condition_reached: bool = False
    counted: bool = False
    pathway_completed: bool = False
    voided_portion: Raw = Raw(b"0")
    reversed_entry_id: str = ""


class _Output(msgspec.Struct, gc=False):
    """An output event as far as figures need it."""

    type: str
    time: datetime
    subject: str
    data: _Data


_OUTPUT = msgspec.json.Decoder(_Output)
_ROW = msgspec.json.Decoder(Row)
_READ = (
    PROGRESS_EVENTS,
    MILESTONE_EVENTS,
    REWARD_EVENTS,
    POINTS_EVENTS,
    EVENT_RESULTS,
    STREAK_EVENTS,
    PATHWAY_EVENTS,
)
Entries = Mapping[bytes, bytes | None]


class Adding:
    """Adds the effects of one world's chunks, in their order, to figures.

    Args:
        figures: what is added to.
        calendar: tells the months.
        load: reads the world's store, in which the entries that ``add`` returns are kept.
    """

    def __init__(self, figures: Figures, calendar: Calendar, load: Load) -> None:
        self._figures = figures
        self._calendar = calendar
        self._load = load
        self._writes: Entries = {}
        self._kept: dict[bytes, bytes | None] = {}
        self._add: Mapping[str, Callable[[_Output], None]] = {
            types.CHALLENGE_LOG_RECORDED.name: self._log_recorded,
            types.CHALLENGE_LOG_VOIDED.name: self._log_voided,
            types.CHALLENGE_COMPLETED.name: self._challenge_completed,
            types.CHALLENGE_REOPENED.name: self._challenge_reopened,
            types.MILESTONE_REACHED.name: self._milestone_reached,
            types.REWARD_GRANTED.name: self._reward_granted,
            types.REWARD_REVOKED.name: self._reward_revoked,
            types.POINTS_GRANTED.name: self._points_granted,
            types.POINTS_REVERSED.name: self._points_reversed,
            types.EVENT_LOGGED.name: self._event_logged,
            types.EVENT_VOIDED.name: self._event_voided,
            types.STREAK_ADVANCED.name: self._streak_advanced,
            types.STREAK_REVERTED.name: self._streak_reverted,
            types.STREAK_COMPLETED.name: self._streak_completed,
            types.ACTIVITY_PROGRESSED.name: self._activity,
            types.ACTIVITY_COMPLETED.name: self._activity,
            types.ACTIVITY_REVERTED.name: self._pathway,
            types.MEMBER_ENROLLED.name: self._pathway,
        }

    def add(self, effects: Effects) -> Entries:
        """Add a chunk; return the entries to keep beside those that it writes."""
        self._writes, self._kept = effects.writes, {}
        for topic in _READ:
            for output in effects.outputs.get(topic, ()):
                read = _OUTPUT.decode(output.value)
                add = self._add.get(read.type)
                if add is not None:
                    add(read)
        for name, number in effects.counts.items():
            what, _, reason = name.partition(":")
            if what == "dead_letter":
                self._figures.refused[reason] += number
        return self._kept

    def _log_recorded(self, output: _Output) -> None:
        written = self._writes.get(log_key(output.data.id))
        if written is not None and LOG.decode(written).counted:
            self._at(output, "challenge", output.data.challenge_id).counted += 1

    def _log_voided(self, output: _Output) -> None:
        data = output.data
        if data.counted and data.activity_at is not None and _is_whole(data):
            row = self._row(output, "challenge", data.challenge_id, data.activity_at)
            self._figures.row(row).counted -= 1

    def _challenge_completed(self, output: _Output) -> None:
        row = self._row(output, "challenge", output.data.challenge_id)
        self._figures.row(row).completions += 1
        self._keep(output.data.id, row)

    def _challenge_reopened(self, output: _Output) -> None:
        row = self._kept_row(output.data.id)
        if row is not None:
            self._figures.row(row).completions -= 1

    def _milestone_reached(self, output: _Output) -> None:
        self._at(output, "milestone", output.data.milestone_id).completions += 1

    def _reward_granted(self, output: _Output) -> None:
        row = self._row(output, "milestone", output.data.milestone_id)
        self._figures.row(row).rewards += 1
        self._keep(output.data.id, row)

    def _reward_revoked(self, output: _Output) -> None:
        row = self._kept_row(output.data.id)
        if row is not None:
            counts = self._figures.row(row)
            counts.rewards -= 1
            counts.completions -= 1

    def _points_granted(self, output: _Output) -> None:
        data = output.data
        if data.event_id is not None:
            self._at(output, "event", data.event_id).points += data.points
            return
        kind, _, id_ = data.action_id.partition(":")
        row = self._row(output, kind, id_)
        self._figures.row(row).points += data.points
        self._keep(data.id, row)

    def _points_reversed(self, output: _Output) -> None:
        """Take back what was granted; a spend that is voided was given by no definition."""
        data = output.data
        if data.event_id is not None and data.granted_at is not None:
            row: Row | None = self._row(output, "event", data.event_id, data.granted_at)
        else:
            row = self._kept_row(data.reversed_entry_id)
        if row is not None:
            self._figures.row(row).points += data.points

    def _event_logged(self, output: _Output) -> None:
        data = output.data
        if data.condition_reached and data.event_id is not None:
            self._at(output, "event", data.event_id).counted += 1

    def _event_voided(self, output: _Output) -> None:
        data = output.data
        if data.condition_reached and data.event_id is not None and _is_whole(data):
            row = self._row(output, "event", data.event_id, data.occurred_at)
            self._figures.row(row).counted -= 1

    def _streak_advanced(self, output: _Output) -> None:
        row = self._row(output, "streak", output.data.streak_id)
        self._figures.row(row).counted += 1
        self._keep(f"{output.data.id}/{output.data.period_key}", row)

    def _streak_reverted(self, output: _Output) -> None:
        row = self._kept_row(f"{output.data.id}/{output.data.period_key}")
        if row is not None:
            self._figures.row(row).counted -= 1

    def _streak_completed(self, output: _Output) -> None:
        self._at(output, "streak", output.data.streak_id).completions += 1

    def _activity(self, output: _Output) -> None:
        self._at(output, "pathway", output.data.pathway_id).counted += 1
        self._pathway(output)

    def _pathway(self, output: _Output) -> None:
        """Count a pathway that a member has completed by now, or has not any more."""
        data = output.data
        name = f"{output.subject}/{data.pathway_id}"
        before = self._kept_row(name)
        if data.pathway_completed and before is None:
            row = self._row(output, "pathway", data.pathway_id)
            self._figures.row(row).completions += 1
            self._keep(name, row)
        elif before is not None and not data.pathway_completed:
            self._figures.row(before).completions -= 1
            self._kept[_key(name)] = None

    def _at(self, output: _Output, kind: str, id_: str) -> Counts:
        return self._figures.row(self._row(output, kind, id_))

    def _row(self, output: _Output, kind: str, id_: str, moment: datetime | None = None) -> Row:
        at = output.time if moment is None else moment
        month = self._calendar.month(kind, id_, at, lambda: self._timezone(output.subject))
        return Row(kind, id_, month)

    def _timezone(self, member_id: str) -> str | None:
        """Return a member's own zone after the chunk."""
        key = member_key(member_id)
        entry = self._writes[key] if key in self._writes else self._load([key])[0]
        return None if entry is None else MEMBER.decode(entry).timezone

    def _keep(self, name: str, row: Row) -> None:
        """Remember where something was counted, as a void may take it back."""
        self._kept[_key(name)] = msgspec.json.encode(row)

    def _kept_row(self, name: str) -> Row | None:
        key = _key(name)
        entry = self._kept[key] if key in self._kept else self._load([key])[0]
        return None if entry is None else _ROW.decode(entry)


def _key(name: str) -> bytes:
    return ROW_PREFIX + name.encode()


def _is_whole(data: _Data) -> bool:
    return bytes(data.voided_portion) == _WHOLLY


def refused_in_words(refused: Mapping[str, int]) -> str:
    """Return how many inputs were refused, most frequent reason first; empty where none was."""
    if not refused:
        return ""
    ordered: Iterable[tuple[str, int]] = sorted(refused.items(), key=lambda each: -each[1])
    return ", ".join(f"{number:,} {reason}" for reason, number in ordered)

"""What happened, and what the tables must be after it: of challenge logs, and of events."""

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from schemas import outputs
from schemas.outputs import CloudEvent
from schemas.settings import Settings
from schemas.topics import EVENT_RESULTS, POINTS_EVENTS, PROGRESS_EVENTS
from tests.integration.projections import recomputation
from tests.integration.projections.driving import query
from tests.unit.projections.events import (
    AT,
    PROJECT,
    event_logged,
    log_recorded,
    member_of,
    points_changed,
)
from tests.unit.projections.void_events import (
    event_voided,
    half_up,
    log_voided,
    points_reversed,
)

MEMBERS = 97


class History(Protocol):
    """Output events, some more at each call, and a comparison of the tables with them."""

    topics: Sequence[str]
    """Where the events lie."""
    done: int
    """How many steps it has gone."""

    def next(self, count: int) -> list[CloudEvent]:
        """Go some steps on, and return what they write."""

    def check(self, settings: Settings) -> None:
        """Compare the tables with what happened so far."""


class Logs:
    """Challenge logs: rows that are whole, compared with plain Python. Every ninth log comes with
    the void of half of one that its member made before."""

    topics: Sequence[str] = (PROGRESS_EVENTS,)

    def __init__(self) -> None:
        self.totals: dict[str, Decimal] = {}
        self.done = 0

    def next(self, count: int) -> list[CloudEvent]:
        """Return the next logs."""
        events = []
        for number in range(self.done, self.done + count):
            member = member_of(number % MEMBERS)
            value = self._value(number)
            self.totals[member] = self.totals.get(member, Decimal(0)) + value
            events.append(
                log_recorded(
                    member,
                    number,
                    value=str(value),
                    total=str(self.totals[member]),
                    sequence=number,
                )
            )
            events += self._void(number) if number % 9 == 8 else []
        self.done += count
        return events

    def _value(self, number: int) -> Decimal:
        return Decimal(number % 1000) / 1000

    def _void(self, number: int) -> list[CloudEvent]:
        """Void half of the log of one round before."""
        log = number - MEMBERS
        if log < 0:
            return []
        member = member_of(number % MEMBERS)
        self.totals[member] -= self._value(log) / 2
        total = str(self.totals[member])
        return [log_voided(member, log, number, portion="0.5", voided="0.5", total=total)]

    def check(self, settings: Settings) -> None:
        """Compare the tables with the history."""
        assert query(
            settings, "SELECT count(*), count(DISTINCT id) FROM milestream.challenge_logs"
        ) == [(self.done, self.done)]
        sums = query(
            settings,
            "SELECT member_id, sum(activity_value * (1 - voided_portion)) "
            "FROM milestream.challenge_logs GROUP BY 1",
        )
        newest = query(
            settings, "SELECT member_id, current_progress_value FROM milestream.challenge_progress"
        )
        expected = {UUID(member): total for member, total in self.totals.items()}
        assert dict(sums) == expected
        assert dict(newest) == expected
        voids = sum(number % 9 == 8 for number in range(MEMBERS, self.done))
        assert query(settings, "SELECT count(*) FROM milestream.voids") == [(voids,)]


class _Logged:
    """An event that was logged, and how much of it is voided."""

    def __init__(self, event: CloudEvent) -> None:
        assert isinstance(event.data, outputs.EventLogged)
        self.event, self.log = event, event.data
        self.voided, self.points = Decimal(0), 0

    def void(self, portion: Decimal, number: int) -> list[CloudEvent]:
        """Void a portion more; an odd void recovers all of its points but one."""
        log, before = self.log, self.points
        self.voided += portion
        self.points = half_up(log.points * self.voided)
        now, lost = self.points - before, number % 2
        text = f"{self.voided.normalize():f}"
        events = [event_voided(self.event, number, portion=str(portion), voided=text, now=now)]
        if log.points and self.event.source == outputs.source_of(PROJECT):
            lost = min(lost, now)
            events.append(
                points_reversed(
                    log.owned_by_id,
                    number,
                    lost - now,
                    not_recovered=lost,
                    granted_at=log.occurred_at,
                    event_id=log.event_id,
                )
            )
        return events


class Events:
    """Events and their points: rows that are added up, compared with SQL over the logs.

    They come late and early: up to 400 days ago, and up to two days ahead. Some are voided, in
    parts or at once, soon or late.
    """

    topics: Sequence[str] = (EVENT_RESULTS, POINTS_EVENTS)

    def __init__(self) -> None:
        self._random = random.Random(4)
        self._logged: list[_Logged] = []
        self.done = 0

    def next(self, count: int) -> list[CloudEvent]:
        """Return the next events, those with points followed by their ledger entries, and voids."""
        events = []
        for number in range(self.done, self.done + count):
            events += self._void(number)
            member = member_of(self._random.randrange(MEMBERS))
            days = self._random.choice((*range(-3, 3), -self._random.randrange(400)))
            at = AT + timedelta(days=days, hours=self._random.randrange(24))
            met, reached = self._random.random() < 0.8, self._random.random() < 0.2
            points = number % 7 if met and not reached else 0
            name = f"event-{number % 5}"
            project = "acme" if number % 10 else "other"
            logged = event_logged(
                member,
                number,
                event_id=name,
                at=at,
                points=points,
                project=project,
                condition_reached=met,
                limit_reached=reached,
            )
            events.append(logged)
            self._logged.append(_Logged(logged))
            if points and project == PROJECT:
                events.append(points_changed(member, number, points, at=at, event_id=name))
        self.done += count
        return events

    def _void(self, number: int) -> list[CloudEvent]:
        """Void something of what is left of an event, now and then."""
        if not self._logged or self._random.random() > 0.3:
            return []
        place = self._random.choice((-1, self._random.randrange(len(self._logged))))
        portions = (Decimal("0.25"), Decimal("0.5"), Decimal(1), Decimal(1))
        portion = min(self._random.choice(portions), 1 - self._logged[place].voided)
        return self._logged[place].void(portion, number) if portion else []

    def check(self, settings: Settings) -> None:
        """Compare what was added up with a plain recomputation."""
        assert query(settings, "SELECT count(*) FROM milestream.event_log") == [(self.done,)]
        recomputation.check(settings)

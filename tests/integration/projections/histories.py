"""What happened, and what the tables must be after it: of challenge logs, and of events."""

import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

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
    """Challenge logs: rows that are whole, compared with plain Python."""

    topics: Sequence[str] = (PROGRESS_EVENTS,)

    def __init__(self) -> None:
        self.totals: dict[str, Decimal] = {}
        self.done = 0

    def next(self, count: int) -> list[CloudEvent]:
        """Return the next logs."""
        events = []
        for number in range(self.done, self.done + count):
            member = member_of(number % MEMBERS)
            value = Decimal(number % 1000) / 1000
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
        self.done += count
        return events

    def check(self, settings: Settings) -> None:
        """Compare the tables with the history."""
        assert query(
            settings, "SELECT count(*), count(DISTINCT id) FROM milestream.challenge_logs"
        ) == [(self.done, self.done)]
        sums = query(
            settings,
            "SELECT member_id, sum(activity_value) FROM milestream.challenge_logs GROUP BY 1",
        )
        newest = query(
            settings, "SELECT member_id, current_progress_value FROM milestream.challenge_progress"
        )
        expected = {UUID(member): total for member, total in self.totals.items()}
        assert dict(sums) == expected
        assert dict(newest) == expected


class Events:
    """Events and their points: rows that are added up, compared with SQL over the logs.

    They come late and early: up to 400 days ago, and up to two days ahead.
    """

    topics: Sequence[str] = (EVENT_RESULTS, POINTS_EVENTS)

    def __init__(self) -> None:
        self._random = random.Random(4)
        self.done = 0

    def next(self, count: int) -> list[CloudEvent]:
        """Return the next events, those with points followed by their ledger entries."""
        events = []
        for number in range(self.done, self.done + count):
            member = member_of(self._random.randrange(MEMBERS))
            days = self._random.choice((*range(-3, 3), -self._random.randrange(400)))
            at = AT + timedelta(days=days, hours=self._random.randrange(24))
            met, reached = self._random.random() < 0.8, self._random.random() < 0.2
            points = number % 7 if met and not reached else 0
            name = f"event-{number % 5}"
            project = "acme" if number % 10 else "other"
            events.append(
                event_logged(
                    member,
                    number,
                    event_id=name,
                    at=at,
                    points=points,
                    project=project,
                    condition_reached=met,
                    limit_reached=reached,
                )
            )
            if points and project == PROJECT:
                events.append(points_changed(member, number, points, at=at, event_id=name))
        self.done += count
        return events

    def check(self, settings: Settings) -> None:
        """Compare what was added up with a plain recomputation."""
        assert query(settings, "SELECT count(*) FROM milestream.event_log") == [(self.done,)]
        recomputation.check(settings)

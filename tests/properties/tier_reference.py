"""Tiers once more: every grant is kept, and the window is added up anew at every look.

It shares nothing with the fold. Time goes by in whole days here: at each midnight it is asked what
the window counts, and only where that is something else than before the tier is looked at.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Move = tuple[str | None, str | None, str, datetime]
"""The tiers before and after, why, and when."""


@dataclass
class Standing:
    """One member in one set."""

    definition: dict[str, Any]
    zone: str
    grants: list[tuple[int, date]] = field(default_factory=list)
    balance: int = 0
    tier: str | None = None
    assigned: str | None = None
    until: datetime | None = None
    grace: datetime | None = None
    fell: Any = None
    looked: datetime | None = None
    judged: bool = False
    """Whether a change was ever told."""
    moves: list[Move] = field(default_factory=list)
    """What is to be told."""

    @property
    def names(self) -> list[str]:
        """The tiers, by rising threshold."""
        return [tier["id"] for tier in self.definition["tiers"]]

    @property
    def in_force(self) -> str | None:
        """The tier; of who was never judged, that of threshold 0."""
        first = self.definition["tiers"][0]
        without = first["id"] if first["threshold"] == 0 else None
        return self.tier if self.judged else without

    @property
    def factor(self) -> Fraction:
        """What the tier multiplies points of events by."""
        place = self.place(self.in_force)
        return Fraction(self.definition["tiers"][place].get("multiplier") or 1)

    def place(self, tier: str | None) -> int:
        """Return a tier's place; -1 for none."""
        return -1 if tier is None else self.names.index(tier)

    def day(self, moment: datetime) -> date:
        """Return the day on the wall."""
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def counted(self, today: date) -> list[tuple[int, date]]:
        """Return the grants, and what was taken back of them, that the window counts on a day."""
        window = self.definition.get("window", {"type": "lifetime"})
        if window["type"] == "lifetime":
            return self.grants
        if window["type"] == "calendar_year":
            return [grant for grant in self.grants if grant[1].year == today.year]
        months = {"P1M": 1, "P3M": 3, "P1Y": 12}[window["length"]]
        return [grant for grant in self.grants if months_later(grant[1], months) > today]

    def value(self, today: date) -> int:
        """Return what the tier is judged by."""
        if self.definition["basis"]["type"] == "balance":
            return self.balance
        return max(sum(points for points, _ in self.counted(today)), 0)

    def earn(self, points: int, at: datetime) -> None:
        """Count points that were granted for a moment, or (below 0) taken back of such a grant.

        What a window never counted, as the set was not defined then, cannot leave it.
        """
        day, window = self.day(at), self.definition.get("window", {"type": "lifetime"})["type"]
        if points < 0 and window != "lifetime":
            there = sum(
                some
                for some, then in self.grants
                if then == day or (window == "calendar_year" and then.year == day.year)
            )
            points = -min(-points, max(there, 0))
        self.grants.append((points, day))

    def mark(self, today: date) -> Any:
        """Return what is another when the window has moved."""
        if self.definition["basis"]["type"] == "balance":
            return self.balance
        window = self.definition.get("window", {"type": "lifetime"})["type"]
        if window == "lifetime":
            return self.value(today)
        return today.year if window == "calendar_year" else today

    def deserved(self, today: date) -> int:
        """Return the place of the highest tier that the value suffices for."""
        value = Decimal(self.value(today))
        return max(
            (n for n, t in enumerate(self.definition["tiers"]) if t["threshold"] <= value),
            default=-1,
        )

    def go_on(self, now: datetime) -> None:
        """Look at every moment up to now at which time may have changed something."""
        while self.looked is not None:
            moments = [m for m in (self.grace, self.until, self._next_day(now)) if m is not None]
            moment = min(moments, default=None)
            if moment is None or moment > now:
                return
            was_assigned = self.assigned
            self.look(moment, "assigned" if was_assigned and self.until == moment else "window")

    def _next_day(self, now: datetime) -> datetime | None:
        """Return the first midnight up to now at which the window counts something else, or at
        which one that fell one tier down may fall further."""
        assert self.looked is not None
        today = self.day(self.looked)
        before = self.counted(today)
        window = self.definition.get("window", {"type": "lifetime"})["type"]
        fell_by_year = window == "calendar_year" and self.fell is not None
        fell_by_day = window == "rolling" and self.fell is not None
        while today < self.day(now):
            today += timedelta(days=1)
            new_year = fell_by_year and (today.month, today.day) == (1, 1)
            if new_year or fell_by_day or self.counted(today) != before:
                return datetime(
                    today.year, today.month, today.day, tzinfo=ZoneInfo(self.zone)
                ).astimezone(UTC)
        return None

    def look(self, now: datetime, why: str) -> None:
        """Judge at a moment."""
        now = now if self.looked is None else max(now, self.looked)
        today = self.day(now)
        before = (self.tier, self.assigned, self.until)
        place = self._judged(now, today)
        self.tier = None if place < 0 else self.names[place]
        self.looked = now
        if before != (self.tier, self.assigned, self.until):
            self.judged = True
            self.moves.append((before[0], self.tier, why, now))

    def _judged(self, now: datetime, today: date) -> int:
        here, deserved = self.place(self.tier), self.deserved(today)
        if self.assigned is not None:
            self.grace = None
            if self.until is not None and self.until <= now:
                self.assigned = self.until = None
                return deserved
            return max(self.place(self.assigned), deserved)
        if deserved >= here:
            self.grace = self.fell = None
            return deserved
        fall = self.definition.get("downgrade") or self._usual_fall()
        if fall == "none" or (fall == "one_down" and self.fell == self.mark(today)):
            self.grace = None
            return here
        if self.definition.get("grace") == "P1M":
            if self.grace is None:
                self.grace = self._month_later(now)
            if now < self.grace:
                return here
        self.grace = None
        self.fell = self.mark(today)
        return deserved if fall == "to_basis" else here - 1

    def _usual_fall(self) -> str:
        window = self.definition.get("window", {"type": "lifetime"})["type"]
        by_life = self.definition["basis"]["type"] == "balance" or window == "lifetime"
        return "none" if by_life else "to_basis"

    def _month_later(self, now: datetime) -> datetime:
        local = now.astimezone(ZoneInfo(self.zone))
        day = months_later(local.date(), 1)
        return datetime.combine(day, local.timetz()).astimezone(UTC)

    def assign(self, tier: str | None, until: datetime | None, now: datetime) -> None:
        """Assign a tier, or end that."""
        now = now if self.looked is None else max(now, self.looked)
        if tier is not None:
            before = (self.tier, self.assigned, self.until)
            self.assigned, self.until, self.grace = tier, until, None
            self._tell(before, now)
        elif self.assigned is not None:
            before = (self.tier, self.assigned, self.until)
            self.assigned, self.until = self.assigned, now
            self._tell(before, now)

    def _tell(self, before: tuple[Any, ...], now: datetime) -> None:
        place = self._judged(now, self.day(now))
        self.tier = None if place < 0 else self.names[place]
        self.looked = now
        if before != (self.tier, self.assigned, self.until):
            self.judged = True
            self.moves.append((before[0], self.tier, "assigned", now))


def months_later(day: date, months: int) -> date:
    """Return the same day some months later, or the last of a month that is too short."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for number in range(day.day, 0, -1):
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError

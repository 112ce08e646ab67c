"""The views for analysts, against the same figures counted in plain Python from what happened."""

import asyncio
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from deploy.exporting.parquet import write_table
from deploy.exporting.tables import Selection, tables
from projections.analysts import create_login, revoke_login
from projections.rebuild import rebuild
from projections.runner import Runner
from schemas import ids
from schemas.definitions import definition_key, encode, parse
from schemas.event_types import REWARD_GRANTED
from schemas.outputs import CloudEvent
from schemas.settings import Settings
from schemas.topics import DEFINITIONS
from tests.guide_pictures import PICTURES, PLACE, marks_in, rows_in, rows_of, svg
from tests.integration.projections.driving import caught_up, projecting, writing
from tests.unit.projections.events import (
    CHALLENGE,
    PROJECT,
    event_logged,
    log_recorded,
    member_of,
    points_changed,
    progress,
    reward_changed,
)
from tests.unit.projections.void_events import (
    event_voided,
    log_voided,
    points_reversed,
    reward_revoked,
)

GUIDE = Path(__file__).parents[3] / "projections" / "analysts.md"
BEGIN = date(2026, 8, 17)
MEMBERS, DAYS, TARGET = 120, 100, 60
MILESTONES = {
    "22222222-2222-4222-8222-222222222222": 20,
    "33333333-3333-4333-8333-333333333333": 40,
}
NAMES = {20: "Free shipping", 40: "Ten off the next order"}
POINTS = 7
"""Points of each milestone."""
ZONE = ZoneInfo("America/New_York")


@dataclass
class History:
    """What happens to some members of one project, and what is to be counted of it."""

    events: list[CloudEvent] = field(default_factory=list)
    active: set[tuple[str, date]] = field(default_factory=set)
    values: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    completed: Counter[str] = field(default_factory=Counter)
    rewards: dict[tuple[str, str, str], tuple[date, bool, int]] = field(default_factory=dict)
    """By milestone, member and period: its month, whether it is revoked, what it cost."""

    def member(self, number: int, chance: Random) -> None:
        """Let a member come on some days, less and less often: to send an event, or a log."""
        member = member_of(number)
        day = BEGIN + timedelta(days=chance.randrange(40))
        while day < BEGIN + timedelta(days=DAYS):
            if chance.random() < 0.5:
                self._event(member, day, chance)
            else:
                self._log(member, day, chance)
            day += timedelta(days=1 + int(chance.expovariate(0.25)))
        if number % 4 == 0:
            self._revoke_last(member)

    def _next(self) -> int:
        return len(self.events) + 1

    def _event(self, member: str, day: date, chance: Random) -> None:
        at = datetime.combine(day, time(12), UTC)
        logged = event_logged(member, self._next(), at=at)
        self.events.append(logged)
        if chance.random() < 0.2:
            self.events.append(event_voided(logged, self._next()))
        else:
            self.active.add((member, day))

    def _log(self, member: str, day: date, chance: Random) -> None:
        # In New York it is still the day before.
        at, local = datetime.combine(day, time(2), UTC), day - timedelta(days=1)
        assert at.astimezone(ZONE).date() == local
        number, value, period = self._next(), chance.randrange(10, 30), f"{local:%Y-%m}"
        before = self.values[member, period]
        if chance.random() < 0.15:
            self.events.append(
                log_recorded(member, number, total=None, sequence=number, activity_at=at)
            )
            return  # it did not count
        done = before < TARGET <= before + value
        if not done and chance.random() < 0.15:
            after = self._progress(member, period, before + value)
            self.events.append(self._recorded(member, number, at, value, after))
            back = self._progress(member, period, before)
            self.events.append(log_voided(member, number, self._next(), challenge_progress=back))
            return
        self.values[member, period] = before + value
        self.completed[period] += done
        self.active.add((member, local))
        after = self._progress(member, period, before + value)
        self.events.append(self._recorded(member, number, at, value, after))
        for milestone, target in MILESTONES.items():
            if before < target <= before + value:
                self._reward(milestone, member, period, at)

    def _recorded(
        self, member: str, number: int, at: datetime, value: int, after: Any
    ) -> CloudEvent:
        return log_recorded(
            member,
            number,
            value=str(value),
            sequence=number,
            activity_at=at,
            challenge_progress=after,
        )

    def _progress(self, member: str, period: str, value: int) -> Any:
        return progress(
            member,
            str(value),
            id=ids.progress_id(PROJECT, CHALLENGE, member, period),
            period_key=period,
            aggregation_period="monthly",
            timezone=ZONE.key,
            challenge_progress_status="completed" if value >= TARGET else "in_progress",
        )

    def _reward(self, milestone: str, member: str, period: str, at: datetime) -> None:
        id_ = ids.reward_log_id(PROJECT, milestone, member, period)
        fields = {"id": id_, "milestone_id": milestone, "period_key": period, "created_at": at}
        self.events.append(reward_changed(REWARD_GRANTED, member, self._next(), **fields))
        granted: dict[str, Any] = {
            "action_id": f"milestone:{milestone}",
            "source_id": id_,
            "event_id": None,
        }
        self.events.append(points_changed(member, self._next(), POINTS, at=at, **granted))
        self.rewards[milestone, member, period] = (at.date().replace(day=1), False, POINTS)

    def _revoke_last(self, member: str) -> None:
        """Take the member's last reward back; only 5 of its points are there still."""
        key = next((key for key in reversed(self.rewards) if key[1] == member), None)
        if key is None:
            return
        id_ = ids.reward_log_id(PROJECT, *key)
        entry = next(
            each.data.id for each in self.events if getattr(each.data, "source_id", None) == id_
        )
        month = self.rewards[key][0]
        named: dict[str, Any] = {"id": id_, "milestone_id": key[0], "period_key": key[2]}
        created = datetime.combine(month, time(2), UTC) + timedelta(days=3)
        named |= {"created_at": created, "version": 2}
        self.events.append(reward_revoked(member, self._next(), **named))
        self.events.append(
            points_reversed(member, self._next(), -5, reversed_entry_id=entry, what="challenge_log")
        )
        self.rewards[key] = (month, True, POINTS - 5)


def history() -> History:
    """Return the same history each time, with something of another project."""
    found = History()
    chance = Random("analysts")
    for number in range(MEMBERS):
        found.member(number, chance)
    noise = member_of(1, "other")
    at = datetime.combine(BEGIN, time(12), UTC)
    found.events.append(event_logged(noise, 9001, at=at, project="other"))
    return found


def share(part: int, whole: int) -> Decimal | None:
    """Return a share as the views round it."""
    return rounded(part, whole, "0.0001")


def rounded(part: int, whole: int, step: str) -> Decimal | None:
    """Return a quotient as PostgreSQL rounds it: a half goes away from zero."""
    return None if not whole else (Decimal(part) / whole).quantize(Decimal(step), ROUND_HALF_UP)


def funnel(what: History) -> list[tuple[Any, ...]]:
    rows = []
    for period in sorted({period for _, period in what.values}):
        started = sum(value > 0 for (_, of), value in what.values.items() if of == period)
        steps = [("started", 0, started)]
        for milestone, target in MILESTONES.items():
            kept = sum(
                (named, of, revoked) == (milestone, period, False)
                for (named, _, of), (_, revoked, _) in what.rewards.items()
            )
            steps.append(("milestone", target, kept))
        steps.append(("completed", TARGET, what.completed[period]))
        rows += [
            (period, place, kind, target, members, share(members, started))
            for place, (kind, target, members) in enumerate(steps, 1)
        ]
    return rows


def actives(what: History) -> list[tuple[Any, ...]]:
    def within(day: date, days: int) -> int:
        return len({m for m, on in what.active if day - timedelta(days=days) < on <= day})

    first = {member: min(on for m, on in what.active if m == member) for member, _ in what.active}
    return [
        (day, within(day, 1), sum(on == day for on in first.values()), within(day, 7),
         within(day, 30))
        for day in sorted({on for _, on in what.active})
    ]  # fmt: skip


def cohorts(what: History) -> list[tuple[Any, ...]]:
    first = {member: min(on for m, on in what.active if m == member) for member, _ in what.active}
    rows = []
    for period in ("monthly", "weekly"):
        came: dict[tuple[date, int], set[str]] = defaultdict(set)
        for member, day in what.active:
            begun = first[member]
            if period == "weekly":
                cohort = begun - timedelta(days=begun.weekday())
                later = (day - timedelta(days=day.weekday()) - cohort).days // 7
            else:
                cohort = begun.replace(day=1)
                later = 12 * (day.year - begun.year) + day.month - begun.month
            came[cohort, later].add(member)
        for (cohort, later), members in sorted(came.items()):
            whole = len(came[cohort, 0])
            rows.append((period, cohort, later, whole, len(members), share(len(members), whole)))
    return rows


def costs(what: History) -> list[tuple[Any, ...]]:
    found: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (milestone, _, _), (month, revoked, points) in what.rewards.items():
        row = found[milestone, month]
        row[revoked] += 1
        row[2] += points
    return [
        (milestone, month, given, 0, revoked, points,
         rounded(points, given, "0.01"))
        for (milestone, month), (given, revoked, points) in sorted(found.items())
    ]  # fmt: skip


ASKED = {
    funnel: "SELECT period_key, step, kind, target, members, share "
    "FROM progress_funnel ORDER BY period_key, step",
    actives: "SELECT day, members, new_members, members_7d, members_30d "
    "FROM daily_actives ORDER BY day",
    cohorts: "SELECT period, cohort, later, cohort_members, members, share "
    "FROM retention_by_cohort ORDER BY period, cohort, later",
    costs: "SELECT milestone_id::text, month, rewards, issued, revoked, points, points_per_reward "
    "FROM cost_per_reward ORDER BY milestone_id, month",
}


async def test_what_analysts_ask_is_what_was_counted_by_hand(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = history()
    assert {revoked for _, revoked, _ in what.rewards.values()} == {True, False}
    assert sum(what.completed.values()) > 3
    definitions = {
        "challenge": [{"id": CHALLENGE, "name": "Monthly spend", "aggregationMethod": "sum",
                       "aggregationPeriod": "monthly", "completionTargetValue": TARGET}],
        "milestone": [{"id": id_, "linkedSchemaRecordId": CHALLENGE, "name": NAMES[target],
                       "milestoneTargetValue": target} for id_, target in MILESTONES.items()],
    }  # fmt: skip
    async with writing(settings) as writer, projecting(Runner(settings)):
        for kind, all_of in definitions.items():
            for each in all_of:
                definition = parse(kind, each)
                key = definition_key(PROJECT, kind, definition.id).encode()
                await writer.put(DEFINITIONS, 0, key, encode(definition))
        await writer.commit(*what.events)
        await caught_up(settings)
        login = await asyncio.to_thread(create_login, settings.database_url, PROJECT)
        try:
            check(login.database_url, what)
            for table in ("challenge_logs", "reward_logs"):
                await rebuild(settings, table, lambda _done, _total: None)
            check(login.database_url, what)
            check_pictures(login.database_url)
            with monkeypatch.context() as there:
                there.chdir(tmp_path)
                check_guide(login.database_url)
        finally:
            await asyncio.to_thread(revoke_login, settings.database_url, PROJECT, login.user)


def check(url: str, what: History) -> None:
    """Compare each view, as a login of the project sees it, with what was counted."""
    with psycopg.connect(url) as connection:
        for counted, asked in ASKED.items():
            expected = counted(what)
            assert len(expected) > 3
            assert connection.execute(asked.encode()).fetchall() == expected, counted.__name__


def check_pictures(url: str) -> None:
    """Compare the guide's pictures with what its queries return; write them where that is asked."""
    guide = GUIDE.read_text("utf-8")
    writes = os.environ.get("MILESTREAM_TEST_PICTURES") == "write"
    with psycopg.connect(url) as connection:
        for name, picture in PICTURES.items():
            rows = rows_of(connection, guide, picture.view)
            drawn = svg(name, rows)
            assert rows_in(drawn) == rows
            assert marks_in(drawn) == len(rows) > 3
            path = PLACE / f"{name}.svg"
            if writes:
                path.write_text(drawn, "utf-8")
            kept = path.read_text("utf-8")
            assert rows_in(kept) == rows, f"{name}: see tests/guide_pictures.py to draw it anew"
            assert svg(name, rows) == drawn


def check_guide(url: str) -> None:
    """Run every query of the guide for analysts as it stands there, and look at its columns; then
    its polars, on files in the working directory."""
    Path("files").mkdir()
    texts = GUIDE.read_text("utf-8")
    queries = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)\n", texts, re.DOTALL)
    assert len(queries) > 4
    with psycopg.connect(url) as connection:
        for query, shown in queries:
            cursor = connection.execute(query.encode())
            assert cursor.description is not None
            assert [each.name for each in cursor.description] == re.split(r"[ |]+", shown.strip())
        for name in ("event_log", "members", "points_ledger"):
            rows = Selection(tables(connection)[name], PROJECT)
            write_table(connection, rows, Path(f"files/{name}.parquet"), lambda _: None)
    programs = re.findall(r"```python\n(.*?)```", texts, re.DOTALL)
    assert len(programs) > 1
    for program in programs:
        exec(compile(program, GUIDE.name, "exec"), {})  # noqa: S102

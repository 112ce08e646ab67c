"""Boards in order: the places of a plain recomputation, whatever happened, and at what cost."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection

from api.queries import leaderboards
from api.queries.leaderboards import Board, Rank
from projections import leaderboard_renewal
from projections.runner import Runner
from schemas.outputs import CloudEvent
from schemas.settings import Settings
from schemas.topics import MEMBER_EVENTS, POINTS_EVENTS
from tests.bench import board_rows
from tests.integration.api.serving import let_the_hour_begin
from tests.integration.projections import recomputation
from tests.integration.projections.driving import caught_up, projecting, writing
from tests.unit.projections.events import member_of, member_upserted, points_changed

MEMBERS = 60
PROJECTS = ("acme", "other")
DAYS = (1, 0, 0, 0, -1, -5, -6, -7, -8, -28, -29, -30, -31, -200, -363, -364, -365, -366)
"""When grants happen, from today: at every edge of every board."""
POINTS = (1, 5, 5, 10, 10, 10, 999, 1000, 1004, 1009, 1010, 123_456, 10**25)
"""What is granted: often the same, and scores of one band that are not."""


@dataclass
class Points:
    """Grants, and members that come, are renamed, deleted and live again; and what follows."""

    today: date
    granted: dict[tuple[str, int], list[tuple[date, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    deleted: dict[tuple[str, int], bool] = field(default_factory=dict)
    _random: random.Random = field(default_factory=lambda: random.Random(12))
    _number: int = 0

    def next(self, count: int) -> Iterator[CloudEvent]:
        """Go some steps on."""
        chosen = self._random
        for _ in range(count):
            self._number += 1
            project, number = chosen.choice(PROJECTS), chosen.randrange(MEMBERS)
            who = (project, number)
            if who not in self.deleted or chosen.random() < 0.2:
                self.deleted[who] = who in self.deleted and chosen.random() < 0.4
                yield member_upserted(
                    number,
                    self._number,
                    project,
                    first_name=f"Ann {self._number}",
                    status="deleted" if self.deleted[who] else "live",
                )
            day, points = self.today + timedelta(days=chosen.choice(DAYS)), chosen.choice(POINTS)
            self.granted[who].append((day, points))
            yield points_changed(
                member_of(number, project),
                self._number,
                points,
                at=datetime.combine(day, time(chosen.randrange(24)), UTC),
                project=project,
                user_id=f"user-{number}",
            )

    def days_go_by(self, days: int) -> None:
        """What happened is so much longer ago."""
        for who, grants in self.granted.items():
            self.granted[who] = [(day - timedelta(days=days), points) for day, points in grants]

    def places(self, board: Board) -> list[tuple[str, int, int]]:
        """Return (user, points, rank) of all on a board."""
        totals = {}
        for (project, number), grants in self.granted.items():
            total = sum(points for day, points in grants if board.first <= day <= board.last)
            if project == board.project and total and not self.deleted[project, number]:
                totals[f"user-{number}"] = total
        ordered = sorted(totals.items(), key=lambda entry: (-entry[1], entry[0].encode()))
        every = sorted(totals.values(), reverse=True)
        return [(user, total, every.index(total) + 1) for user, total in ordered]


def rolling(project: str, today: date) -> list[Board]:
    return [Board(project, today - timedelta(days=n - 1), today) for n in (7, 30, 365)]


def months(project: str, today: date) -> list[Board]:
    found = {(today + timedelta(days=days)).replace(day=1) for days in DAYS}
    ends = {first: (first + timedelta(days=31)).replace(day=1) for first in found}
    return [Board(project, first, end - timedelta(days=1)) for first, end in ends.items()]


def shown(places: list[Rank]) -> list[tuple[str, int, int]]:
    return [(place.external_id, int(place.points), place.rank) for place in places]


async def check(settings: Settings, points: Points, asked: list[Board]) -> None:
    """Compare boards in order with plain Python, and with what is added up from days."""
    async with await AsyncConnection.connect(settings.database_url) as connection:
        for board in asked:
            expected = points.places(board)
            kept = await leaderboards._kept(connection, board, leaderboards._TOP, top=1000)
            assert kept is not None, f"{board} is not right now"
            assert shown(kept) == expected, board
            assert shown(await leaderboards.added_up(connection, board, top=1000)) == expected
            assert await leaderboards.top(connection, board, 7) == kept[:7]
            users = [user for user, _, _ in expected]
            for number in range(MEMBERS):
                name, member_id = f"user-{number}", member_of(number, board.project)
                at = users.index(name) if name in users else None
                near = await leaderboards.beside(connection, board, UUID(member_id), 2)
                assert shown(near) == ([] if at is None else expected[max(0, at - 2) : at + 3])


async def test_boards_are_those_of_a_plain_recomputation(settings: Settings) -> None:
    let_the_hour_begin()
    today = datetime.now(UTC).date()
    points = Points(today)
    # Each topic's partitions are another projector's, and a third one holds them all as well.
    held = [
        [(topic, number) for number in range(settings.partitions)]
        for topic in (POINTS_EVENTS, MEMBER_EVENTS)
    ]
    every = [board for p in PROJECTS for board in (*rolling(p, today), *months(p, today))]
    async with writing(settings) as writer, projecting(Runner(settings)):
        async with (
            projecting(Runner(settings, partitions=held[0])),
            projecting(Runner(settings, partitions=held[1])),
        ):
            for _ in range(40):
                await writer.commit(*points.next(25))
            await caught_up(settings)
        await check(settings, points, every)
        recomputation.check(settings)
        assert any(points.deleted.values())
        assert await turned(settings) == 0
        for days in (1, 5, 24):
            let_days_go_by(settings, days)
            points.days_go_by(days)
            async with await AsyncConnection.connect(settings.database_url) as connection:
                week = every[0]
                # Some scores are due: it is not taken as it lies.
                assert await leaderboards._kept(connection, week, leaderboards._TOP, top=1) is None
                assert shown(await leaderboards.top(connection, week, 1000)) == points.places(week)
            assert await turned(settings) > 0
            await check(settings, points, [b for p in PROJECTS for b in rolling(p, today)])


def let_days_go_by(settings: Settings, days: int) -> None:
    """Make all that lies in the tables so much older, as a clock does."""
    with psycopg.connect(settings.database_url) as connection:
        for statement in (
            # A day at a time would meet the day after it, for keys are looked at row by row.
            "UPDATE milestream.leaderboard_days SET day = day - 100000 - %s WHERE standing = 0",
            "UPDATE milestream.leaderboard_days SET day = day + 100000 WHERE standing = 0",
            "UPDATE milestream.leaderboard_points SET day = day - 100000 - %s",
            "UPDATE milestream.leaderboard_points SET day = day + 100000",
            "UPDATE milestream.leaderboard_scores SET due = due - %s",
        ):
            connection.execute(statement.encode(), [days] if "%s" in statement else None)


async def turned(settings: Settings) -> int:
    """Make anew what is due, a few at a time, and return how many scores that were."""
    done = 0
    async with await AsyncConnection.connect(settings.database_url, autocommit=True) as connection:
        while count := await leaderboard_renewal.renew(connection, 50):
            done += count
    return done


LITTLE = 400
"""Rows that may be looked at for 100 places, or for one with its neighbours."""


async def test_a_read_looks_at_few_rows_however_many_members_there_are(migrated_url: str) -> None:
    let_the_hour_begin()
    today = datetime.now(UTC).date()
    board_rows.fill(migrated_url, "acme", 30_000)
    month = today.replace(day=1)
    end_of_month = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    rolling_ones = [Board("acme", today - timedelta(days=n - 1), today) for n in (7, 30, 365)]
    async with await AsyncConnection.connect(migrated_url) as connection:
        for board in (*rolling_ones, Board("acme", month, end_of_month)):
            await looks_at_few(connection, board)


async def looks_at_few(connection: AsyncConnection, board: Board) -> None:
    """Check that the first places, and some with their neighbours, are right and cost little."""
    expected = await leaderboards.added_up(connection, board, top=30_000)
    assert len(expected) > 100
    assert await leaderboards.top(connection, board, 100) == expected[:100]
    assert await looked_at(connection, board, leaderboards._TOP, top=100) < LITTLE
    for at in (0, 1, len(expected) // 2, len(expected) - 1):
        own = expected[at].member_id
        before = await fetched(connection)
        near = await leaderboards.beside(connection, board, own, 2)
        assert shown(near) == shown(expected[max(0, at - 2) : at + 3])
        after = await fetched(connection)
        assert after[0] == before[0]
        assert after[1] - before[1] < LITTLE + await bands(connection, board)
        few = await looked_at(connection, board, leaderboards._BESIDE, member_id=own, beside=2)
        assert few < LITTLE + await bands(connection, board)


async def looked_at(
    connection: AsyncConnection, board: Board, statement: LiteralString, **asked: Any
) -> int:
    """Return how many rows a statement looks at, in all tables that grow with members."""
    explain: LiteralString = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
    cursor = await connection.execute(explain + statement, leaderboards.kept_values(board, **asked))
    ((plan,),) = await cursor.fetchall()
    nodes, rows = [plan[0]["Plan"]], 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", ())
        if node.get("Relation Name", "").startswith(("leaderboard_", "members")):
            assert node["Node Type"] != "Seq Scan", node
            rows += node["Actual Loops"] * (
                node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            )
    return int(rows)


async def fetched(connection: AsyncConnection) -> tuple[int, int]:
    """Return how often this transaction read whole tables that grow with members, and all the rows
    that it read of them.
    """
    cursor = await connection.execute(
        "SELECT sum(seq_scan), sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables "
        "WHERE schemaname = 'milestream' "
        "AND (relname LIKE 'leaderboard%' OR relname LIKE 'members%')"
    )
    ((scans, rows),) = await cursor.fetchall()
    return int(scans), int(rows)


async def test_a_members_place_is_planned_once(migrated_url: str) -> None:
    let_the_hour_begin()
    today = datetime.now(UTC).date()
    async with await AsyncConnection.connect(migrated_url, autocommit=True) as connection:
        for days in (7, 30, 365, 7):
            board = Board("acme", today - timedelta(days=days - 1), today)
            assert await leaderboards.beside(connection, board, uuid4(), 2) == []
        cursor = await connection.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
            "WHERE statement LIKE '%near AS MATERIALIZED%'"
        )
        assert await cursor.fetchall() == [(4, 0)]
        cursor = await connection.execute("SHOW plan_cache_mode")
        assert await cursor.fetchall() == [("auto",)]


async def bands(connection: AsyncConnection, board: Board) -> int:
    """Return how many bands of scores a board has."""
    cursor = await connection.execute(
        "SELECT count(*) FROM milestream.leaderboard_counts WHERE board = %s", [board.kept_as]
    )
    return int((await cursor.fetchall())[0][0])

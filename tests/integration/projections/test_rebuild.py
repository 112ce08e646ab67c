"""`milestream rebuild`: the same table, anew, while everything goes on."""

import asyncio
import os
import subprocess
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from projections.catalogue import PROJECTIONS
from projections.rebuild import RebuildFailed, _alone, rebuild
from projections.runner import Runner
from schemas.definitions import definition_key, encode, parse
from schemas.event_types import REWARD_GRANTED, STREAK_ADVANCED
from schemas.settings import Settings
from schemas.topics import DEFINITIONS
from tests import forking
from tests.integration.projections import recomputation
from tests.integration.projections.driving import caught_up, projecting, query, table, writing
from tests.integration.projections.histories import Events
from tests.unit.projections.events import (
    AT,
    CHALLENGE,
    MILESTONE,
    event_logged,
    log_recorded,
    member_of,
    member_upserted,
    milestone_reached,
    points_changed,
    reward_changed,
    streak_changed,
)


def _quiet(_done: int, _total: int) -> None:
    """Report to nobody."""


def _shape(settings: Settings, name: str) -> list[Any]:
    """What a table is beside its rows: columns, indexes, constraints, comments, rights, rules."""
    where = f"'milestream.{name}'::regclass"
    return [
        query(settings, text.format(where))
        for text in (
            (
                "SELECT attname, atttypid, attnotnull, attcollation, col_description({0}, attnum) "
                "FROM pg_attribute WHERE attrelid = {0} AND attnum > 0 ORDER BY attnum"
            ),
            (
                "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
                "WHERE indrelid = {0} ORDER BY 1"
            ),
            (
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = {0} ORDER BY 1"
            ),
            (
                "SELECT obj_description({0}, 'pg_class'), reloptions, relrowsecurity, relowner, "
                "(SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(relacl) AS a) "
                "FROM pg_class WHERE oid = {0}"
            ),
            (
                "SELECT polname, polroles, polcmd, pg_get_expr(polqual, polrelid) FROM pg_policy "
                "WHERE polrelid = {0} ORDER BY 1"
            ),
        )
    ]


async def test_every_read_model_rebuilt_while_projecting_equals_the_live_one(
    settings: Settings,
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        milestone = parse(
            "milestone",
            {
                "id": MILESTONE,
                "linkedSchemaRecordId": CHALLENGE,
                "name": "m",
                "milestoneTargetValue": 5,
            },
        )
        key = definition_key("acme", "milestone", MILESTONE).encode()
        await writer.put(DEFINITIONS, 0, key, encode(milestone))
        await writer.put(DEFINITIONS, 0, key, encode(milestone))
        stop = asyncio.Event()

        async def traffic() -> None:
            number = 0
            while not stop.is_set() or number <= 20:
                number += 1
                member = member_of(number % 17)
                await writer.commit(
                    log_recorded(member, number, total=f"{number}.5", sequence=number),
                    member_upserted(number % 17, number, version=number),
                    milestone_reached(member, "5", number),
                    reward_changed(REWARD_GRANTED, member, number),
                    event_logged(member, number, at=AT - timedelta(days=number % 60)),
                    points_changed(member, number, 5),
                    streak_changed(STREAK_ADVANCED, member, number),
                )
                if number % 5 == 0:
                    await writer.abort(log_recorded(member, -number))

        flowing = asyncio.create_task(traffic())
        await caught_up(settings)
        names = [name for projection in PROJECTIONS.values() for name in projection.tables]
        shapes = {name: _shape(settings, name) for name in names}
        oids = {
            name: query(settings, f"SELECT 'milestream.{name}'::regclass::oid") for name in shapes
        }
        for name in PROJECTIONS:
            await rebuild(settings, name, _quiet)
        stop.set()
        await flowing
        await caught_up(settings)
        for name in names:
            assert _shape(settings, name) == shapes[name]
            assert query(settings, f"SELECT 'milestream.{name}'::regclass::oid") != oids[name]
        recomputation.check(settings)
        for name in PROJECTIONS:
            live = table(settings, name)
            await rebuild(settings, name, _quiet)
            assert table(settings, name) == live
        recomputation.check(settings)
        assert len(table(settings, "challenge_logs")) > 20
        assert len(table(settings, "milestones")) == 1
        assert not flowing.cancelled()


async def test_a_view_and_a_grant_of_the_operator_outlive_the_swap(settings: Settings) -> None:
    role = f"r_{settings.application_id}"
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}".encode())
        connection.execute(f"GRANT SELECT ON milestream.members TO {role}".encode())
        connection.execute(
            "CREATE VIEW milestream.names WITH (security_invoker=true) AS "
            "SELECT first_name FROM milestream.members"
        )
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1, first_name="Ann"))
        await caught_up(settings)
        await rebuild(settings, "members", _quiet)
        await writer.commit(member_upserted(2, 2, first_name="Bob"))
        await caught_up(settings)
    assert query(settings, "SELECT first_name FROM milestream.names ORDER BY 1") == [
        ("Ann",),
        ("Bob",),
    ]
    assert query(
        settings,
        "SELECT reloptions, has_table_privilege(%s, 'milestream.members', 'SELECT') "
        "FROM pg_class WHERE oid = 'milestream.names'::regclass",
        role,
    ) == [(["security_invoker=true"], True)]
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(f"GRANT {role} TO CURRENT_USER".encode())
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())


async def test_what_was_corrupted_is_right_again_and_leftovers_are_gone(
    settings: Settings,
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(*(log_recorded(member_of(n), n, sequence=n) for n in range(3000)))
        await caught_up(settings)
    whole = table(settings, "challenge_logs")
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("DELETE FROM milestream.challenge_logs WHERE sequence % 3 = 0")
        connection.execute("CREATE TABLE milestream_private.challenge_logs_rebuilt (x integer)")
    assert await rebuild(settings, "challenge_logs", _quiet) == 3000
    assert table(settings, "challenge_logs") == whole
    assert query(settings, "SELECT to_regclass('milestream_private.challenge_logs_rebuilt')") == [
        (None,)
    ]


async def test_what_is_added_up_is_right_again_after_a_rebuild(settings: Settings) -> None:
    history = Events()
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(*history.next(1500))
        await caught_up(settings)
        with psycopg.connect(settings.database_url) as connection:
            connection.execute("UPDATE milestream.event_stats_daily SET events = events + 1")
            connection.execute("DELETE FROM milestream.event_user_days WHERE days % 3 = 0")
            connection.execute("UPDATE milestream.event_user_counts SET users = users * 2")
            connection.execute("TRUNCATE milestream.leaderboard_points")
        for name in ("event_stats_daily", "event_user_days", "leaderboard_points"):
            await rebuild(settings, name, _quiet)
        history.check(settings)
        await writer.commit(*history.next(1500))
        await caught_up(settings)
    history.check(settings)


async def test_a_swap_that_fails_half_way_loses_nothing_when_it_is_tried_again(
    settings: Settings,
) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("CREATE VIEW milestream.ids AS SELECT member_id FROM milestream.members")
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(*(member_upserted(n, n) for n in range(50)))
        await caught_up(settings)
    live = table(settings, "members")
    statement = "SELECT count(*) FROM pg_locks WHERE relation = 'milestream.ids'::regclass"
    async with await psycopg.AsyncConnection.connect(settings.database_url) as operator:
        # Holds the view and not the table: in the way only after the twin was completed.
        await operator.execute("COMMENT ON VIEW milestream.ids IS 'in the way'")
        rebuilding = asyncio.create_task(rebuild(settings, "members", _quiet))
        for _ in range(2000):
            if query(settings, statement)[0][0] > 1:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the swap does not wait for the view")
        await asyncio.sleep(2.5)  # longer than the swap waits for a lock
        assert not rebuilding.done()
        await operator.rollback()
    assert await asyncio.wait_for(rebuilding, 120) == 50
    assert table(settings, "members") == live


async def test_a_rebuild_waits_for_a_reader_without_stopping_the_flow(settings: Settings) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)
        async with await psycopg.AsyncConnection.connect(settings.database_url) as reader:
            await reader.execute("SELECT * FROM milestream.members")  # and the transaction is open
            rebuilding = asyncio.create_task(rebuild(settings, "members", _quiet))
            for number in range(2, 5):
                await writer.commit(member_upserted(number, number))
                await caught_up(settings)
            assert not rebuilding.done()
        assert await rebuilding == 4
    assert len(table(settings, "members")) == 4


async def test_only_one_rebuild_of_a_table_runs_at_a_time(settings: Settings) -> None:
    url = settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as one:
        async with _alone(one, "members"):
            with pytest.raises(RebuildFailed, match="already"):
                await rebuild(settings, "members", _quiet)
        assert await rebuild(settings, "members", _quiet) == 0


async def test_a_rebuild_that_was_killed_is_in_nobodys_way(settings: Settings) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO milestream_private.rebuilds "
            "SELECT 'members', pid, backend_start - interval '1 s' FROM pg_stat_activity "
            "WHERE pid = pg_backend_pid()"
        )
        connection.commit()
        assert await rebuild(settings, "members", _quiet) == 0


async def _command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings.to_env()
    return await asyncio.to_thread(forking.run, arguments, environment, seconds=300)


async def test_the_command_says_what_there_is_and_what_it_did(settings: Settings) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)
    done = await _command(settings, "rebuild")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "members: 1 rows" in done.stdout
    unknown = await _command(settings, "rebuild", "nothing")
    assert unknown.returncode == 2
    assert "challenge_progress" in unknown.stderr
    unreachable = settings.model_copy(
        update={"database_url": "postgresql://nobody@127.0.0.1:1/nowhere"}
    )
    failed = await _command(unreachable, "rebuild", "members")
    assert (failed.returncode, failed.stderr.count("Traceback")) == (1, 0)

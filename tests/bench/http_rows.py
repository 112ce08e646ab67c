"""Rows for the benchmark of reads: what the projection makes of challenge logs, made by SQL."""

import psycopg

from tests.bench.workload import CHALLENGES, PROJECT

_STATEMENTS = (
    # Everything about a log comes from its number n; its member is one of that many. Of a member's
    # ten logs of a month's three challenges every eighth reaches a milestone, as in the workload.
    """
    INSERT INTO milestream.members (project, member_id, external_id, first_name, groups, status,
        created_at, updated_at, version, sequence)
    SELECT %(project)s, md5('member-' || n)::uuid, 'member-' || n, 'Ann', '{}', 'live',
        now() - n * interval '1 s', now(), 1, n
    FROM generate_series(0, %(members)s - 1) AS n
    """,
    """
    INSERT INTO milestream.challenge_progress (project, id, challenge_id, member_id, period_key,
        aggregation_method, aggregation_period, timezone, current_progress_value, status,
        challenge_started_at, created_at, updated_at, definition_version, sequence)
    SELECT %(project)s, md5('progress-' || n || challenge)::uuid, challenge::uuid,
        md5('member-' || n)::uuid, '2026-11', 'sum', 'monthly', 'UTC', n %% 90 + 0.250000000,
        'in_progress', now() - n * interval '1 s', now() - n * interval '1 s', now(), 1, n
    FROM generate_series(0, %(members)s - 1) AS n, unnest(%(challenges)s::text[]) AS challenge
    """,
    """
    INSERT INTO milestream.reward_logs (project, id, member_id, linked_schema_slug,
        linked_schema_record_id, milestone_id, period_key, created_at, updated_at, version,
        definition_version, sequence)
    SELECT %(project)s, md5('reward-' || n)::uuid, md5('member-' || n %% %(members)s)::uuid,
        'challenge', challenge, (left(challenge, -2) || n %% 3 + 1 || '1')::uuid, '2026-11',
        now() - n * interval '10 ms', now() - n * interval '10 ms', 1, 1, n
    FROM generate_series(0, %(logs)s - 1, 8) AS n,
        LATERAL (SELECT (%(challenges)s::text[])[n %% 3 + 1] AS challenge) AS chosen
    """,
    """
    INSERT INTO milestream.challenge_logs (project, id, challenge_id, member_id, activity_at,
        activity_id, unique_identifier, activity_value, status, created_at, progress_id,
        period_key, aggregation_method, aggregation_period, timezone, progress_value,
        progress_status, challenge_started_at, progress_created_at, progress_updated_at,
        achieved_milestone_ids, achieved_milestone_reward_log_ids, next_milestone_id,
        definition_version, sequence)
    SELECT %(project)s, md5('log-' || n)::uuid, challenge::uuid,
        md5('member-' || n %% %(members)s)::uuid, now() - n * interval '10 ms',
        'made_a_purchase', 'order-' || n, n %% 90 + 0.250000000, 'active',
        now() - n * interval '10 ms', md5('progress-' || n %% %(members)s || challenge)::uuid,
        '2026-11', 'sum', 'monthly', 'UTC', n %% 500 + 0.250000000, 'in_progress',
        now() - interval '1 day', now() - interval '1 day', now() - n * interval '10 ms',
        CASE WHEN n %% 8 = 0 THEN ARRAY[(left(challenge, -2) || n %% 3 + 1 || '1')::uuid]
            ELSE '{}' END,
        CASE WHEN n %% 8 = 0 THEN ARRAY[md5('reward-' || n)::uuid] ELSE '{}' END,
        (left(challenge, -2) || n %% 3 + 1 || '2')::uuid, 1, n
    FROM generate_series(0, %(logs)s - 1) AS n,
        LATERAL (SELECT (%(challenges)s::text[])[n %% 3 + 1] AS challenge) AS chosen
    """,
    "VACUUM ANALYZE",
)


def fill(database_url: str, logs: int, members: int) -> None:
    """Make so many logs, the progress of so many members in each challenge, and their rewards."""
    values = {
        "project": PROJECT, "logs": logs, "members": members, "challenges": list(CHALLENGES),
    }  # fmt: skip
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in _STATEMENTS:
            if "%(" in statement:
                connection.execute(statement.encode(), values)
            else:
                connection.execute(statement.encode())


def log_id(number: str) -> str:
    """Return the SQL of a log's id, given that of its number."""
    return f"md5('log-' || {number})::uuid"


def some_logs(database_url: str, count: int) -> list[str]:
    """Return the ids of so many of the logs, by chance."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT id FROM milestream.challenge_logs ORDER BY random() LIMIT %s", (count,)
        )
        return [str(id_) for (id_,) in rows]

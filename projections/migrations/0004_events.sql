-- The read models of events: what was logged, and statistics that are added up as it comes, so that
-- no query ever goes through the log. Points are numeric because nothing bounds them.

CREATE TABLE milestream.event_definitions (
    project text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    status text NOT NULL,
    type text NOT NULL,
    challenge_group text NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, event_id)
);
COMMENT ON TABLE milestream.event_definitions IS
    'The events in force: what members can do, and what it gives.';
COMMENT ON COLUMN milestream.event_definitions.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_definitions.event_id IS 'The event''s id, as senders name it.';
COMMENT ON COLUMN milestream.event_definitions.title IS 'Title.';
COMMENT ON COLUMN milestream.event_definitions.description IS
    'Description; empty where none was given.';
COMMENT ON COLUMN milestream.event_definitions.status IS
    'ACTIVE or INACTIVE; events that are not active are refused.';
COMMENT ON COLUMN milestream.event_definitions.type IS
    'How points are computed: FIXED, CONDITIONAL or TRANSACTION.';
COMMENT ON COLUMN milestream.event_definitions.challenge_group IS
    'The balance that its points go to.';
COMMENT ON COLUMN milestream.event_definitions.definition IS
    'The whole definition, fields by their names on the wire, defaults included.';
COMMENT ON COLUMN milestream.event_definitions.created_at IS
    'When the definition was first written.';
COMMENT ON COLUMN milestream.event_definitions.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.event_definitions.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.event_definitions');

CREATE TABLE milestream.event_log (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    user_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    points numeric NOT NULL,
    type text NOT NULL,
    title text NOT NULL,
    limit_reached boolean NOT NULL,
    condition_reached boolean NOT NULL,
    user_group_id text NOT NULL,
    challenge_group text NOT NULL,
    metadata jsonb NOT NULL,
    idempotency_key text,
    ip text,
    local_date date NOT NULL,
    local_hour smallint NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX event_log_created_at ON milestream.event_log (project, created_at);
CREATE INDEX event_log_local_date ON milestream.event_log (project, event_id, local_date);
CREATE INDEX event_log_member_id ON milestream.event_log (member_id, occurred_at);
COMMENT ON TABLE milestream.event_log IS 'Every event that was logged, with what it gave.';
COMMENT ON COLUMN milestream.event_log.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_log.id IS
    'The log''s id; of project, member and idempotency key, or of the place where the record lay first.';
COMMENT ON COLUMN milestream.event_log.event_id IS 'The event.';
COMMENT ON COLUMN milestream.event_log.member_id IS 'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.event_log.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.event_log.occurred_at IS
    'When the member did it; puts the event into its period.';
COMMENT ON COLUMN milestream.event_log.created_at IS 'Timestamp of the input record.';
COMMENT ON COLUMN milestream.event_log.points IS
    'Points that it gave; a whole number, 0 where the conditions failed or the limit was reached.';
COMMENT ON COLUMN milestream.event_log.type IS
    'FIXED, CONDITIONAL or TRANSACTION, as the event was then.';
COMMENT ON COLUMN milestream.event_log.title IS 'The event''s title then.';
COMMENT ON COLUMN milestream.event_log.limit_reached IS
    'Whether the event''s limit was reached before it.';
COMMENT ON COLUMN milestream.event_log.condition_reached IS
    'Whether it met the event''s conditions.';
COMMENT ON COLUMN milestream.event_log.user_group_id IS
    'The user group whose reward was taken; default where none.';
COMMENT ON COLUMN milestream.event_log.challenge_group IS 'The balance that its points went to.';
COMMENT ON COLUMN milestream.event_log.metadata IS
    'What the sender said of it; a number that jsonb cannot hold is a string of its digits.';
COMMENT ON COLUMN milestream.event_log.idempotency_key IS
    'The sender''s key: equal ones of a member are the same event; null where none was sent.';
COMMENT ON COLUMN milestream.event_log.ip IS
    'Address that it came from; null where it is not known.';
COMMENT ON COLUMN milestream.event_log.local_date IS
    'The day of occurred_at in the project''s time zone, as that was then.';
COMMENT ON COLUMN milestream.event_log.local_hour IS 'The hour of that day, 0 to 23.';
COMMENT ON COLUMN milestream.event_log.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.event_log.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.event_log');

CREATE TABLE milestream.event_stats_hourly (
    project text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    local_date date NOT NULL,
    local_hour smallint NOT NULL,
    events bigint NOT NULL,
    points numeric NOT NULL,
    condition_met bigint NOT NULL,
    condition_failed bigint NOT NULL,
    limit_reached bigint NOT NULL,
    PRIMARY KEY (project, event_id, local_date, local_hour)
) WITH (fillfactor = 70);
COMMENT ON TABLE milestream.event_stats_hourly IS 'What was logged of each event in each hour.';
COMMENT ON COLUMN milestream.event_stats_hourly.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_stats_hourly.event_id IS 'The event.';
COMMENT ON COLUMN milestream.event_stats_hourly.local_date IS
    'The day, in the project''s time zone as it was when the event was logged.';
COMMENT ON COLUMN milestream.event_stats_hourly.local_hour IS 'The hour of that day, 0 to 23.';
COMMENT ON COLUMN milestream.event_stats_hourly.events IS 'How many events were logged.';
COMMENT ON COLUMN milestream.event_stats_hourly.points IS 'Points that they gave; a whole number.';
COMMENT ON COLUMN milestream.event_stats_hourly.condition_met IS
    'How many of them met the event''s conditions.';
COMMENT ON COLUMN milestream.event_stats_hourly.condition_failed IS 'How many did not.';
COMMENT ON COLUMN milestream.event_stats_hourly.limit_reached IS
    'How many came when the event''s limit was reached.';
SELECT milestream_private.protect('milestream.event_stats_hourly');

CREATE TABLE milestream.event_stats_hourly_all (
    project text COLLATE "C" NOT NULL,
    local_date date NOT NULL,
    local_hour smallint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (project, local_date, local_hour)
) WITH (fillfactor = 70);
COMMENT ON TABLE milestream.event_stats_hourly_all IS
    'How many events of any kind were logged in each hour: the sum of event_stats_hourly.';
COMMENT ON COLUMN milestream.event_stats_hourly_all.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_stats_hourly_all.local_date IS
    'The day, in the project''s time zone as it was when the event was logged.';
COMMENT ON COLUMN milestream.event_stats_hourly_all.local_hour IS 'The hour of that day, 0 to 23.';
COMMENT ON COLUMN milestream.event_stats_hourly_all.events IS 'How many events were logged.';
SELECT milestream_private.protect('milestream.event_stats_hourly_all');

CREATE TABLE milestream.event_stats_daily (
    project text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    local_date date NOT NULL,
    events bigint NOT NULL,
    points numeric NOT NULL,
    condition_met bigint NOT NULL,
    condition_failed bigint NOT NULL,
    limit_reached bigint NOT NULL,
    PRIMARY KEY (project, event_id, local_date)
) WITH (fillfactor = 70);
CREATE INDEX event_stats_daily_local_date ON milestream.event_stats_daily (project, local_date);
COMMENT ON TABLE milestream.event_stats_daily IS
    'What was logged of each event, and of all together, on each day. Its users are in event_user_counts.';
COMMENT ON COLUMN milestream.event_stats_daily.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_stats_daily.event_id IS
    'The event; empty: all events of the project together.';
COMMENT ON COLUMN milestream.event_stats_daily.local_date IS
    'The day, in the project''s time zone as it was when the event was logged.';
COMMENT ON COLUMN milestream.event_stats_daily.events IS 'How many events were logged.';
COMMENT ON COLUMN milestream.event_stats_daily.points IS 'Points that they gave; a whole number.';
COMMENT ON COLUMN milestream.event_stats_daily.condition_met IS
    'How many of them met the event''s conditions.';
COMMENT ON COLUMN milestream.event_stats_daily.condition_failed IS 'How many did not.';
COMMENT ON COLUMN milestream.event_stats_daily.limit_reached IS
    'How many came when the event''s limit was reached.';
SELECT milestream_private.protect('milestream.event_stats_daily');

CREATE TABLE milestream.event_user_days (
    project text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    month date NOT NULL,
    days integer NOT NULL,
    last_day date NOT NULL,
    PRIMARY KEY (project, event_id, member_id, month)
) WITH (fillfactor = 85);
-- The day first: otherwise a planner without statistics takes it for as good as the primary key when
-- a member's months are looked up, and goes through all members.
CREATE INDEX event_user_days_last_day ON milestream.event_user_days (last_day, project, event_id);
COMMENT ON TABLE milestream.event_user_days IS
    'On which days of a month a member was active: what unique users are counted from.';
COMMENT ON COLUMN milestream.event_user_days.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_user_days.event_id IS
    'The event; empty: all events of the project together.';
COMMENT ON COLUMN milestream.event_user_days.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.event_user_days.month IS 'The first day of the month.';
COMMENT ON COLUMN milestream.event_user_days.days IS
    'One bit a day: bit 0 is the first of the month.';
COMMENT ON COLUMN milestream.event_user_days.last_day IS 'The last of these days.';
SELECT milestream_private.protect('milestream.event_user_days');

CREATE TABLE milestream.event_user_counts (
    project text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    day date NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (project, event_id, kind, day)
) WITH (fillfactor = 70);
CREATE INDEX event_user_counts_day ON milestream.event_user_counts (project, kind, day);
COMMENT ON TABLE milestream.event_user_counts IS
    'How many members were active: exact counts, kept as events come.';
COMMENT ON COLUMN milestream.event_user_counts.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.event_user_counts.event_id IS
    'The event; empty: all events of the project together.';
COMMENT ON COLUMN milestream.event_user_counts.kind IS
    'day: active on that day; month: active in that month; last: last active on that day, which moves when they come again.';
COMMENT ON COLUMN milestream.event_user_counts.day IS 'The day; of a month its first.';
COMMENT ON COLUMN milestream.event_user_counts.users IS
    'How many members. Those of kind last since a day add up to the unique users of the period that begins with it and ends today: see event_users().';
SELECT milestream_private.protect('milestream.event_user_counts');

-- Those whose last active day comes later (an event may be dated a day ahead) are looked up one by
-- one; there are seldom any when the period ends today.
CREATE FUNCTION milestream.event_users(of_project text, first_day date, final_day date)
    RETURNS TABLE (event_id text, users bigint)
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT
        counted.event_id,
        (
            coalesce(sum(counted.users) FILTER (WHERE counted.day <= final_day), 0)
            + CASE WHEN sum(counted.users) FILTER (WHERE counted.day > final_day) > 0 THEN (
                SELECT count(*)
                FROM (
                    SELECT DISTINCT member_id FROM milestream.event_user_days
                    WHERE project = of_project AND event_id = counted.event_id
                        AND last_day > final_day
                ) AS later
                CROSS JOIN LATERAL (
                    SELECT FROM milestream.event_user_days AS inside
                    WHERE inside.project = of_project AND inside.event_id = counted.event_id
                        AND inside.member_id = later.member_id
                        AND inside.month BETWEEN date_trunc('month', first_day)::date AND final_day
                        AND inside.days::bigint
                            & CASE WHEN inside.month < first_day
                                THEN -1::bigint << (first_day - inside.month) ELSE -1 END
                            & CASE WHEN final_day - inside.month < 31
                                THEN (2::bigint << (final_day - inside.month)) - 1 ELSE -1 END
                            <> 0
                    LIMIT 1  -- so that each member is looked up by the key, statistics or not
                ) AS found
            ) ELSE 0 END
        )::bigint
    FROM milestream.event_user_counts AS counted
    WHERE counted.project = of_project AND counted.kind = 'last' AND counted.day >= first_day
    GROUP BY counted.event_id
$$;
COMMENT ON FUNCTION milestream.event_users(text, date, date) IS
    'Exact unique users of each event (empty: of all events) from one day to another, both included; quick where the other is today.';
REVOKE EXECUTE ON FUNCTION milestream.event_users(text, date, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milestream.event_users(text, date, date)
    TO milestream_analyst, milestream_project_analyst;

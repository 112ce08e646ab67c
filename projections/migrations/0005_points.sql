-- The read models of points. They are numeric because nothing bounds them.

CREATE TABLE milestream.points_ledger (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    user_id text NOT NULL,
    action_id text NOT NULL,
    challenge_group text NOT NULL,
    points numeric NOT NULL,
    balance numeric NOT NULL,
    total_balance numeric NOT NULL,
    operation text NOT NULL,
    event_id text,
    user_group_id text NOT NULL,
    source_id text NOT NULL,
    ip text,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX points_ledger_occurred_at ON milestream.points_ledger (project, occurred_at);
CREATE INDEX points_ledger_member_id ON milestream.points_ledger (member_id, occurred_at);
COMMENT ON TABLE milestream.points_ledger IS 'Every grant and redemption of points.';
COMMENT ON COLUMN milestream.points_ledger.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_ledger.id IS
    'The entry''s id; of what gave or took the points.';
COMMENT ON COLUMN milestream.points_ledger.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_ledger.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.points_ledger.action_id IS
    'The event, challenge:<id>, milestone:<id>, or redeem.';
COMMENT ON COLUMN milestream.points_ledger.challenge_group IS 'The balance that it moved.';
COMMENT ON COLUMN milestream.points_ledger.points IS
    'Points, signed, never 0; a whole number. A redemption is written in full.';
COMMENT ON COLUMN milestream.points_ledger.balance IS
    'Balance of the group after it; never below 0.';
COMMENT ON COLUMN milestream.points_ledger.total_balance IS
    'The member''s total balance after it; never below 0.';
COMMENT ON COLUMN milestream.points_ledger.operation IS 'grant or redeem.';
COMMENT ON COLUMN milestream.points_ledger.event_id IS
    'The event; null where the points come from none.';
COMMENT ON COLUMN milestream.points_ledger.user_group_id IS
    'The user group under which the points were given; default where none.';
COMMENT ON COLUMN milestream.points_ledger.source_id IS
    'What led to it: the id of an event log, a progress, a reward log or a redemption.';
COMMENT ON COLUMN milestream.points_ledger.ip IS
    'Address that the event came from; null where it is not known.';
COMMENT ON COLUMN milestream.points_ledger.occurred_at IS
    'When the member did what gave the points.';
COMMENT ON COLUMN milestream.points_ledger.created_at IS 'Timestamp of the input record.';
COMMENT ON COLUMN milestream.points_ledger.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.points_ledger.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.points_ledger');

CREATE TABLE milestream.points_balances (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    challenge_group text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    balance numeric NOT NULL,
    updated_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, challenge_group)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.points_balances IS
    'Each member''s balance of points in each challenge group.';
COMMENT ON COLUMN milestream.points_balances.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_balances.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_balances.challenge_group IS 'The group.';
COMMENT ON COLUMN milestream.points_balances.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.points_balances.balance IS 'Points to spend; never below 0.';
COMMENT ON COLUMN milestream.points_balances.updated_at IS
    'Timestamp of the input record that last moved it.';
COMMENT ON COLUMN milestream.points_balances.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.points_balances');

CREATE TABLE milestream.points_totals (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    user_id text NOT NULL,
    balance numeric NOT NULL,
    updated_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.points_totals IS
    'Each member''s balance of points in total: the sum of the groups''.';
COMMENT ON COLUMN milestream.points_totals.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_totals.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_totals.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.points_totals.balance IS 'Points to spend; never below 0.';
COMMENT ON COLUMN milestream.points_totals.updated_at IS
    'Timestamp of the input record that last moved it.';
COMMENT ON COLUMN milestream.points_totals.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.points_totals');

CREATE TABLE milestream.leaderboards (
    project text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_ids text[],
    groups text[],
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
COMMENT ON TABLE milestream.leaderboards IS 'The leaderboards in force.';
COMMENT ON COLUMN milestream.leaderboards.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.leaderboards.id IS 'The leaderboard''s id.';
COMMENT ON COLUMN milestream.leaderboards.event_ids IS
    'Only points of these events count; null: all points.';
COMMENT ON COLUMN milestream.leaderboards.groups IS
    'Only points of these user groups and of their members count; null: all.';
COMMENT ON COLUMN milestream.leaderboards.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.leaderboards.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.leaderboards.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.leaderboards');

CREATE TABLE milestream.leaderboard_points (
    project text COLLATE "C" NOT NULL,
    day date NOT NULL,
    member_id uuid NOT NULL,
    user_group_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    points numeric NOT NULL,
    PRIMARY KEY (project, day, member_id, user_group_id, event_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.leaderboard_points IS
    'Points that were granted on each day, for leaderboards; redemptions take nothing away.';
COMMENT ON COLUMN milestream.leaderboard_points.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.leaderboard_points.day IS
    'The day of the grant''s occurred_at, in UTC.';
COMMENT ON COLUMN milestream.leaderboard_points.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.leaderboard_points.user_group_id IS
    'The user group under which the points were given; default where none.';
COMMENT ON COLUMN milestream.leaderboard_points.event_id IS
    'The event; empty where the points come from none.';
COMMENT ON COLUMN milestream.leaderboard_points.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.leaderboard_points.points IS
    'Sum of the points granted; a whole number.';
SELECT milestream_private.protect('milestream.leaderboard_points');

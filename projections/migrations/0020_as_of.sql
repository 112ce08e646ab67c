-- What was so at some moment: rows say where their outputs lie, and what changed before is kept.
--
-- A place is a number: the partition of the output's topic times 2^48, plus its offset. Rows that
-- were made before have none: `milestream rebuild` of their tables gives it to them, and until then
-- the API refuses to say what was so.

ALTER TABLE milestream.members ADD COLUMN first_place bigint;
COMMENT ON COLUMN milestream.members.first_place IS
    'Place on member-events (partition times 2^48, plus offset) of the first output about the member; null: made before there were places.';

ALTER TABLE milestream.challenge_logs ADD COLUMN place bigint;
COMMENT ON COLUMN milestream.challenge_logs.place IS
    'Place on progress-events (partition times 2^48, plus offset) of the output that recorded the log; null: made before there were places.';

ALTER TABLE milestream.challenge_progress ADD COLUMN place bigint;
COMMENT ON COLUMN milestream.challenge_progress.place IS
    'Place on progress-events (partition times 2^48, plus offset) of the output that last changed it; null: made before there were places.';

ALTER TABLE milestream.points_ledger ADD COLUMN place bigint;
COMMENT ON COLUMN milestream.points_ledger.place IS
    'Place on points-events (partition times 2^48, plus offset) of the output that made the entry; null: made before there were places.';

ALTER TABLE milestream.tier_history ADD COLUMN place bigint;
COMMENT ON COLUMN milestream.tier_history.place IS
    'Place on tier-events (partition times 2^48, plus offset) of the output that told the change; null: made before there were places.';

CREATE TABLE milestream.challenge_progress_history (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    challenge_id uuid NOT NULL,
    member_id uuid NOT NULL,
    period_key text NOT NULL,
    aggregation_method text NOT NULL,
    aggregation_period text NOT NULL,
    timezone text NOT NULL,
    current_progress_value numeric NOT NULL,
    status text NOT NULL,
    challenge_started_at timestamptz NOT NULL,
    challenge_completed_at timestamptz,
    challenge_failed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    place bigint NOT NULL,
    PRIMARY KEY (project, challenge_id, member_id, period_key, place)
);
CREATE INDEX challenge_progress_history_member_id
    ON milestream.challenge_progress_history (member_id);
COMMENT ON TABLE milestream.challenge_progress_history IS
    'How a progress stood when it was completed, failed, open again, or less by a void. How it stood after each log is in challenge_logs.';
COMMENT ON COLUMN milestream.challenge_progress_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.challenge_progress_history.id IS
    'The progress'' id; uuid5 of project, challenge, member and period.';
COMMENT ON COLUMN milestream.challenge_progress_history.challenge_id IS 'The challenge.';
COMMENT ON COLUMN milestream.challenge_progress_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.challenge_progress_history.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.challenge_progress_history.aggregation_method IS
    'Method that the progress began with: sum or count.';
COMMENT ON COLUMN milestream.challenge_progress_history.aggregation_period IS
    'Period that it began with: daily, weekly, monthly, yearly or all_time.';
COMMENT ON COLUMN milestream.challenge_progress_history.timezone IS
    'Time zone that it began with.';
COMMENT ON COLUMN milestream.challenge_progress_history.current_progress_value IS
    'Progress then; never below 0.';
COMMENT ON COLUMN milestream.challenge_progress_history.status IS
    'in_progress, completed or failed, then.';
COMMENT ON COLUMN milestream.challenge_progress_history.challenge_started_at IS
    'Earliest counted activity of the period.';
COMMENT ON COLUMN milestream.challenge_progress_history.challenge_completed_at IS
    'Activity that reached the target; null: none.';
COMMENT ON COLUMN milestream.challenge_progress_history.challenge_failed_at IS
    'End of the period missed; null: not failed.';
COMMENT ON COLUMN milestream.challenge_progress_history.created_at IS
    'When the progress began to be kept.';
COMMENT ON COLUMN milestream.challenge_progress_history.updated_at IS 'When it changed.';
COMMENT ON COLUMN milestream.challenge_progress_history.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.challenge_progress_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
COMMENT ON COLUMN milestream.challenge_progress_history.place IS
    'Place on progress-events (partition times 2^48, plus offset) of the output that told it.';
SELECT milestream_private.protect('milestream.challenge_progress_history');

CREATE TABLE milestream.points_history (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    challenge_group text NOT NULL,
    balance numeric NOT NULL,
    total_balance numeric,
    held numeric NOT NULL,
    pending numeric NOT NULL,
    lots jsonb NOT NULL,
    sequence bigint NOT NULL,
    place bigint NOT NULL,
    PRIMARY KEY (project, member_id, challenge_group, place)
);
COMMENT ON TABLE milestream.points_history IS
    'How a member''s points stood in a challenge group after an output that says more than its entry in points_ledger, or has none: where some are held, pending or in lots.';
COMMENT ON COLUMN milestream.points_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_history.challenge_group IS 'The challenge group.';
COMMENT ON COLUMN milestream.points_history.balance IS 'Balance of the group then.';
COMMENT ON COLUMN milestream.points_history.total_balance IS
    'The member''s total balance then; null: the output moved none.';
COMMENT ON COLUMN milestream.points_history.held IS 'Points of the balance that were held then.';
COMMENT ON COLUMN milestream.points_history.pending IS
    'Points granted that did not count yet; they are in no balance.';
COMMENT ON COLUMN milestream.points_history.lots IS
    'The lots that changed, as they were afterwards: id, points (0: gone), activatesAt, expiresAt.';
COMMENT ON COLUMN milestream.points_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
COMMENT ON COLUMN milestream.points_history.place IS
    'Place on points-events (partition times 2^48, plus offset) of the output that told it.';
SELECT milestream_private.protect('milestream.points_history');

CREATE TABLE milestream.streak_history (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    streak_id text COLLATE "C" NOT NULL,
    period_key text NOT NULL,
    current_length integer NOT NULL,
    longest_length integer NOT NULL,
    freezes_left integer NOT NULL,
    status text NOT NULL,
    completed boolean NOT NULL,
    active_until timestamptz,
    occurred_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    place bigint NOT NULL,
    PRIMARY KEY (project, member_id, streak_id, place)
);
COMMENT ON TABLE milestream.streak_history IS
    'Every state that a member''s streak ever had: streak_progress has the newest.';
COMMENT ON COLUMN milestream.streak_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.streak_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.streak_history.streak_id IS 'The streak.';
COMMENT ON COLUMN milestream.streak_history.period_key IS
    'The period that was hit, or the first one missed where the streak broke.';
COMMENT ON COLUMN milestream.streak_history.current_length IS
    'Length of the latest run of periods; 0 when broken.';
COMMENT ON COLUMN milestream.streak_history.longest_length IS 'Length of the longest run so far.';
COMMENT ON COLUMN milestream.streak_history.freezes_left IS
    'Missed periods that were still forgiven.';
COMMENT ON COLUMN milestream.streak_history.status IS 'active, completed or broken.';
COMMENT ON COLUMN milestream.streak_history.completed IS
    'Whether some run had reached the target.';
COMMENT ON COLUMN milestream.streak_history.active_until IS
    'When the run breaks without another event; null when broken.';
COMMENT ON COLUMN milestream.streak_history.occurred_at IS
    'When what led to this state happened.';
COMMENT ON COLUMN milestream.streak_history.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.streak_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
COMMENT ON COLUMN milestream.streak_history.place IS
    'Place on streak-events (partition times 2^48, plus offset) of the output that told it.';
SELECT milestream_private.protect('milestream.streak_history');

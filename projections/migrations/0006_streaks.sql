-- The read models of streaks.

CREATE TABLE milestream.streaks (
    project text COLLATE "C" NOT NULL,
    streak_id text COLLATE "C" NOT NULL,
    event_ids text[] NOT NULL,
    period text NOT NULL,
    target_length integer NOT NULL,
    timezone text,
    freezes integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, streak_id)
);
COMMENT ON TABLE milestream.streaks IS 'The streaks in force.';
COMMENT ON COLUMN milestream.streaks.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.streaks.streak_id IS 'The streak''s id.';
COMMENT ON COLUMN milestream.streaks.event_ids IS 'Events that count for it.';
COMMENT ON COLUMN milestream.streaks.period IS
    'daily, weekly or monthly: one such event is needed in each.';
COMMENT ON COLUMN milestream.streaks.target_length IS 'Periods in a row that complete it.';
COMMENT ON COLUMN milestream.streaks.timezone IS
    'IANA time zone of its periods; null: the project''s.';
COMMENT ON COLUMN milestream.streaks.freezes IS 'Missed periods that are forgiven.';
COMMENT ON COLUMN milestream.streaks.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.streaks.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.streaks.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.streaks');

CREATE TABLE milestream.streak_progress (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    streak_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    user_id text NOT NULL,
    period text NOT NULL,
    timezone text NOT NULL,
    period_key text NOT NULL,
    current_length integer NOT NULL,
    run_length integer NOT NULL,
    longest_length integer NOT NULL,
    target_length integer NOT NULL,
    freezes_left integer NOT NULL,
    status text NOT NULL,
    completed boolean NOT NULL,
    started_period_key text NOT NULL,
    active_until timestamptz,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, streak_id, member_id)
) WITH (fillfactor = 85);
CREATE INDEX streak_progress_id ON milestream.streak_progress (project, id);
CREATE INDEX streak_progress_member_id ON milestream.streak_progress (member_id);
COMMENT ON TABLE milestream.streak_progress IS 'Each member''s newest state in each streak.';
COMMENT ON COLUMN milestream.streak_progress.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.streak_progress.id IS
    'The progress'' id; uuid5 of project, streak and member.';
COMMENT ON COLUMN milestream.streak_progress.streak_id IS 'The streak.';
COMMENT ON COLUMN milestream.streak_progress.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.streak_progress.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.streak_progress.period IS 'daily, weekly or monthly.';
COMMENT ON COLUMN milestream.streak_progress.timezone IS 'Time zone of its periods.';
COMMENT ON COLUMN milestream.streak_progress.period_key IS
    'The period hit last processed, or the first one missed where the streak broke: 2026-11-21, 2026-W47 or 2026-11.';
COMMENT ON COLUMN milestream.streak_progress.current_length IS
    'Length of the latest run of periods; 0 when broken.';
COMMENT ON COLUMN milestream.streak_progress.run_length IS
    'Length of the run that period_key is in.';
COMMENT ON COLUMN milestream.streak_progress.longest_length IS 'Length of the longest run ever.';
COMMENT ON COLUMN milestream.streak_progress.target_length IS
    'Periods in a row that complete the streak.';
COMMENT ON COLUMN milestream.streak_progress.freezes_left IS
    'Missed periods that are still forgiven.';
COMMENT ON COLUMN milestream.streak_progress.status IS
    'active; completed: alive, and the current run reached the target; or broken.';
COMMENT ON COLUMN milestream.streak_progress.completed IS
    'Whether some run ever reached the target.';
COMMENT ON COLUMN milestream.streak_progress.started_period_key IS
    'First period of the current run.';
COMMENT ON COLUMN milestream.streak_progress.active_until IS
    'When the current run breaks without another event; null when broken.';
COMMENT ON COLUMN milestream.streak_progress.occurred_at IS 'When what led to this state happened.';
COMMENT ON COLUMN milestream.streak_progress.created_at IS 'When the progress began to be kept.';
COMMENT ON COLUMN milestream.streak_progress.updated_at IS 'When it last changed.';
COMMENT ON COLUMN milestream.streak_progress.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.streak_progress.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.streak_progress');

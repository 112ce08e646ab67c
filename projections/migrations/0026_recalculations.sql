-- Recalculations: what was asked for and what became of it; what each changes; who works at it.

CREATE TABLE milestream.recalculations (
    id uuid PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    status text NOT NULL
        CHECK (status IN ('running', 'reported', 'applied', 'refused', 'failed', 'cancelled')),
    code text,
    mode text NOT NULL CHECK (mode IN ('additive', 'exact')),
    challenge_id uuid,
    definitions jsonb NOT NULL,
    since timestamptz,
    apply boolean NOT NULL,
    max_points bigint,
    max_rewards bigint,
    members bigint NOT NULL DEFAULT 0,
    completions bigint NOT NULL DEFAULT 0,
    rewards bigint NOT NULL DEFAULT 0,
    points numeric NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX recalculations_running ON milestream.recalculations (project)
    WHERE status = 'running';
CREATE INDEX recalculations_created_at ON milestream.recalculations (project, created_at);
COMMENT ON TABLE milestream.recalculations IS
    'Recalculations of history under other definitions: what was asked for, and what became of it.';
COMMENT ON COLUMN milestream.recalculations.id IS 'The recalculation''s id.';
COMMENT ON COLUMN milestream.recalculations.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.recalculations.status IS
    'running, reported (nothing was to be applied), applied, refused, failed or cancelled. A project has one that is running at most.';
COMMENT ON COLUMN milestream.recalculations.code IS
    'Why it was refused or failed; null where it did not.';
COMMENT ON COLUMN milestream.recalculations.mode IS
    'additive: nothing is lowered; exact: values are, and completions are taken back.';
COMMENT ON COLUMN milestream.recalculations.challenge_id IS
    'The challenge that was recalculated under the definitions in force; null where others were given.';
COMMENT ON COLUMN milestream.recalculations.definitions IS
    'The definitions that were recalculated, as documents.';
COMMENT ON COLUMN milestream.recalculations.since IS
    'Only periods that end later were recalculated; null: all.';
COMMENT ON COLUMN milestream.recalculations.apply IS
    'Whether it was to put the definitions in force and correct what was given.';
COMMENT ON COLUMN milestream.recalculations.max_points IS
    'Above so many points it was to be refused; null: there was no such bound.';
COMMENT ON COLUMN milestream.recalculations.max_rewards IS
    'Above so many rewards it was to be refused; null: there was no such bound.';
COMMENT ON COLUMN milestream.recalculations.members IS
    'Members whose progress changes. Totals are 0 until all of history was looked at.';
COMMENT ON COLUMN milestream.recalculations.completions IS 'Challenges that become completed.';
COMMENT ON COLUMN milestream.recalculations.rewards IS 'Rewards that are given.';
COMMENT ON COLUMN milestream.recalculations.points IS 'Points that are given.';
COMMENT ON COLUMN milestream.recalculations.created_at IS 'When it was asked for.';
COMMENT ON COLUMN milestream.recalculations.ended_at IS 'When it ended; null while it runs.';
SELECT milestream_private.protect('milestream.recalculations');

CREATE TABLE milestream.recalculation_changes (
    project text COLLATE "C" NOT NULL,
    recalculation_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    period_key text COLLATE "C" NOT NULL,
    before numeric,
    after numeric,
    points numeric NOT NULL,
    reward_log_id uuid,
    PRIMARY KEY (recalculation_id, kind, id, member_id, period_key)
);
COMMENT ON TABLE milestream.recalculation_changes IS
    'What a recalculation changes: an estimate while it only reports, then what it corrected. Written by the recalculation, so `milestream rebuild` leaves it alone.';
COMMENT ON COLUMN milestream.recalculation_changes.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.recalculation_changes.recalculation_id IS 'The recalculation.';
COMMENT ON COLUMN milestream.recalculation_changes.kind IS
    'challenge: the progress of a challenge; completion: that it becomes completed; reopened: that it is completed no more; milestone: a milestone that becomes reached; points: a completion or milestone that gave fewer points; not_given: a milestone whose reward stays though it would not have been given.';
COMMENT ON COLUMN milestream.recalculation_changes.id IS 'The challenge''s id, or the milestone''s.';
COMMENT ON COLUMN milestream.recalculation_changes.member_id IS 'The member.';
COMMENT ON COLUMN milestream.recalculation_changes.period_key IS 'The period of the progress.';
COMMENT ON COLUMN milestream.recalculation_changes.before IS
    'The value of the progress as it was recorded.';
COMMENT ON COLUMN milestream.recalculation_changes.after IS
    'The value as it is recalculated; of a milestone, that with which it was reached.';
COMMENT ON COLUMN milestream.recalculation_changes.points IS
    'Points that are given for this row''s completion or milestone, before caps; 0 for the others.';
COMMENT ON COLUMN milestream.recalculation_changes.reward_log_id IS
    'The reward of a milestone; null for challenges and completions.';
SELECT milestream_private.protect('milestream.recalculation_changes');

-- Who works at a recalculation that runs, and how far that is. The row goes when it has ended.
CREATE TABLE milestream_private.recalculation_work (
    id uuid PRIMARY KEY,
    request bytea NOT NULL,
    actor text,
    by_command boolean NOT NULL,
    owner uuid,
    lease_until timestamptz NOT NULL,
    step text NOT NULL DEFAULT 'report'
        CHECK (step IN ('report', 'in_force', 'cuts', 'corrections')),
    definitions_end bigint,
    ends jsonb,
    next_partition integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE milestream_private.recalculation_work IS
    'How far a recalculation is that runs, and which process works at it.';
COMMENT ON COLUMN milestream_private.recalculation_work.id IS 'The recalculation''s id.';
COMMENT ON COLUMN milestream_private.recalculation_work.request IS
    'Hash of what was asked for: the same again goes on with it.';
COMMENT ON COLUMN milestream_private.recalculation_work.actor IS
    'Who asked for it, for `definition_history`; null where nobody was named.';
COMMENT ON COLUMN milestream_private.recalculation_work.by_command IS
    'Whether the command `milestream recalculate` works at it; else API processes do.';
COMMENT ON COLUMN milestream_private.recalculation_work.owner IS
    'The process that works at it, by a number of its own; null where none does.';
COMMENT ON COLUMN milestream_private.recalculation_work.lease_until IS
    'Until when that process is taken to live; later another one goes on.';
COMMENT ON COLUMN milestream_private.recalculation_work.step IS
    'report: history is replayed; in_force: the definitions are put in force; cuts: the places are marked from which on they hold; corrections: history is replayed up to there and corrected.';
COMMENT ON COLUMN milestream_private.recalculation_work.definitions_end IS
    'The offset of `definitions` before which lies what counts as in force; null: not asked yet.';
COMMENT ON COLUMN milestream_private.recalculation_work.ends IS
    'By partition, the offset of `chunk-log` up to which this step replays; null: not asked yet.';
COMMENT ON COLUMN milestream_private.recalculation_work.next_partition IS
    'Partitions before this one are done in this step.';

-- API processes write these tables; COPY, which rows of others'' tables cannot be written by, is
-- not needed for them.
GRANT INSERT, UPDATE ON milestream.recalculations TO milestream_api;
GRANT INSERT, UPDATE, DELETE ON milestream.recalculation_changes TO milestream_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON milestream_private.recalculation_work TO milestream_api;
CREATE POLICY api_writes ON milestream.recalculations TO milestream_api
    USING (true) WITH CHECK (true);
CREATE POLICY api_writes ON milestream.recalculation_changes TO milestream_api
    USING (true) WITH CHECK (true);

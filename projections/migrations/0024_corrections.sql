-- Corrections: what recalculations made of progress.

CREATE TABLE milestream.progress_corrections (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    recalculation_id uuid NOT NULL,
    challenge_id uuid NOT NULL,
    member_id uuid NOT NULL,
    period_key text NOT NULL,
    progress_id uuid NOT NULL,
    aggregation_method text NOT NULL,
    difference numeric NOT NULL,
    value_before numeric,
    value_after numeric NOT NULL,
    unique_identifier text NOT NULL,
    corrected_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX progress_corrections_progress_id
    ON milestream.progress_corrections (project, progress_id);
CREATE INDEX progress_corrections_recalculation_id
    ON milestream.progress_corrections (project, recalculation_id);
CREATE INDEX progress_corrections_member_id
    ON milestream.progress_corrections (member_id, corrected_at);
COMMENT ON TABLE milestream.progress_corrections IS
    'Every correction of a progress by a recalculation. What completions, milestones and points came of it is in their tables.';
COMMENT ON COLUMN milestream.progress_corrections.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.progress_corrections.id IS
    'The correction''s id; uuid5 of project, member and the command''s unique identifier.';
COMMENT ON COLUMN milestream.progress_corrections.recalculation_id IS
    'The recalculation that sent it.';
COMMENT ON COLUMN milestream.progress_corrections.challenge_id IS 'The challenge.';
COMMENT ON COLUMN milestream.progress_corrections.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.progress_corrections.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.progress_corrections.progress_id IS
    'The progress (challenge_progress.id); uuid5 of project, challenge, member and period.';
COMMENT ON COLUMN milestream.progress_corrections.aggregation_method IS
    'Method that the progress goes by since: sum or count.';
COMMENT ON COLUMN milestream.progress_corrections.difference IS
    'What the exact sum, or count, moved by; below 0: it fell.';
COMMENT ON COLUMN milestream.progress_corrections.value_before IS
    'Progress before it, never below 0; null: there was none.';
COMMENT ON COLUMN milestream.progress_corrections.value_after IS 'Progress after it, never below 0.';
COMMENT ON COLUMN milestream.progress_corrections.unique_identifier IS 'That of the command.';
COMMENT ON COLUMN milestream.progress_corrections.corrected_at IS
    'Timestamp of the command''s record.';
COMMENT ON COLUMN milestream.progress_corrections.definition_version IS
    'Offset in `definitions` of the challenge that it was made under.';
COMMENT ON COLUMN milestream.progress_corrections.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.progress_corrections');

COMMENT ON TABLE milestream.challenge_progress_history IS
    'How a progress stood when it was completed, failed, open again, less by a void, or corrected by a recalculation. How it stood after each log is in challenge_logs.';

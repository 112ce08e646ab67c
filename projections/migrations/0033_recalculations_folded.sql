-- Recalculations are applied when workers have folded what corrects, and only over what was reported.
ALTER TABLE milestream.recalculations ADD COLUMN definitions_offset bigint;
COMMENT ON COLUMN milestream.recalculations.definitions_offset IS
    'The offset of `definitions` before which lies what it counted as in force; null: it runs, or ended before there was this column.';

ALTER TABLE milestream_private.recalculation_work
    ADD COLUMN sent jsonb NOT NULL DEFAULT '{}',
    DROP CONSTRAINT recalculation_work_step_check,
    ADD CONSTRAINT recalculation_work_step_check
        CHECK (step IN ('report', 'in_force', 'cuts', 'corrections', 'folding'));
COMMENT ON COLUMN milestream_private.recalculation_work.sent IS
    'By partition, the offset of `member-commands` after the last correction that was sent.';
COMMENT ON COLUMN milestream_private.recalculation_work.step IS
    'report: history is replayed; in_force: the definitions are put in force; cuts: the places are marked from which on they hold; corrections: history is replayed up to there and corrected; folding: workers are to fold what corrects it.';
COMMENT ON COLUMN milestream_private.recalculation_work.ends IS
    'By partition, the offset of `chunk-log` up to which this step replays, or after which it waits for workers; null: not asked yet.';
COMMENT ON COLUMN milestream_private.recalculation_work.next_partition IS
    'How many partitions are done in this step: the first ones, where it takes one after the other.';

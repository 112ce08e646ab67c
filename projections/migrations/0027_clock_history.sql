-- What test clocks showed: what was so at some moment goes by the time that it was in the project.

CREATE TABLE milestream.clock_history (
    project text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    now timestamptz NOT NULL,
    version bigint NOT NULL,
    moved_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    place bigint NOT NULL,
    PRIMARY KEY (project, partition, version)
);
COMMENT ON TABLE milestream.clock_history IS
    'Every move of the clock of a project that is moved by hand, on each partition: project_clocks has the newest.';
COMMENT ON COLUMN milestream.clock_history.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.clock_history.partition IS 'The partition of the inputs.';
COMMENT ON COLUMN milestream.clock_history.now IS 'What the clock showed there from then on.';
COMMENT ON COLUMN milestream.clock_history.version IS 'Counts its moves there, from 1.';
COMMENT ON COLUMN milestream.clock_history.moved_at IS
    'Timestamp of the record with which the move was done.';
COMMENT ON COLUMN milestream.clock_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
COMMENT ON COLUMN milestream.clock_history.place IS
    'Place on clock-events (partition times 2^48, plus offset) of the output that told it.';
SELECT milestream_private.protect('milestream.clock_history');

-- Test clocks: how far the time of each project that is moved by hand has come.

CREATE TABLE milestream.project_clocks (
    project text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    now timestamptz NOT NULL,
    version bigint NOT NULL,
    moved_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, partition)
);
COMMENT ON TABLE milestream.project_clocks IS
    'What the clock of each project that is moved by hand shows, on each partition: all that was due by then is done there. A clock that was never moved has no row.';
COMMENT ON COLUMN milestream.project_clocks.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.project_clocks.partition IS 'The partition of the inputs.';
COMMENT ON COLUMN milestream.project_clocks.now IS 'What the clock shows there.';
COMMENT ON COLUMN milestream.project_clocks.version IS 'Counts its moves there, from 1.';
COMMENT ON COLUMN milestream.project_clocks.moved_at IS
    'Timestamp of the record with which the last move was done.';
COMMENT ON COLUMN milestream.project_clocks.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.project_clocks');

-- What callers asked for, before any partition has done it: calls take turns by its rows.
CREATE TABLE milestream_private.clock_calls (
    project text COLLATE "C" PRIMARY KEY,
    now timestamptz NOT NULL
);
COMMENT ON TABLE milestream_private.clock_calls IS
    'How far the clock of each project that is moved by hand was asked to go.';
COMMENT ON COLUMN milestream_private.clock_calls.project IS 'The project.';
COMMENT ON COLUMN milestream_private.clock_calls.now IS 'The moment that it was last sent to.';
GRANT SELECT, INSERT, UPDATE ON milestream_private.clock_calls TO milestream_api;

ALTER TABLE milestream.projects ADD COLUMN clock text NOT NULL DEFAULT 'live';
ALTER TABLE milestream.projects ALTER COLUMN clock DROP DEFAULT;
COMMENT ON COLUMN milestream.projects.clock IS
    'live, or manual: time is what the project''s clock shows, which is moved by hand.';

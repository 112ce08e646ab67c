-- Definitions as they were: every record that wrote or deleted one.

CREATE TABLE milestream.definition_history (
    project text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text,
    definition jsonb,
    PRIMARY KEY (project, kind, id, version)
);
CREATE INDEX definition_history_at ON milestream.definition_history (project, at);
COMMENT ON TABLE milestream.definition_history IS
    'Every definition as it was written, and every deletion of one.';
COMMENT ON COLUMN milestream.definition_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.definition_history.kind IS 'The kind, for example challenge.';
COMMENT ON COLUMN milestream.definition_history.id IS 'The definition''s id.';
COMMENT ON COLUMN milestream.definition_history.version IS
    'Its version: the offset of the record in `definitions`. It was in force until the next one of the id.';
COMMENT ON COLUMN milestream.definition_history.at IS 'When it was written: timestamp of the record.';
COMMENT ON COLUMN milestream.definition_history.actor IS
    'Who wrote it, as the request or the command said; null where it did not.';
COMMENT ON COLUMN milestream.definition_history.definition IS
    'The whole definition; null: it was deleted.';
SELECT milestream_private.protect('milestream.definition_history');

-- What members' status was: explanations tell by it why a log did not count.

CREATE TABLE milestream.member_history (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    version bigint NOT NULL,
    status text NOT NULL,
    updated_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, version)
);
CREATE INDEX member_history_member_id ON milestream.member_history (member_id);
COMMENT ON TABLE milestream.member_history IS
    'Every change of a member''s record, without personal fields. That a member began live has no row.';
COMMENT ON COLUMN milestream.member_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.member_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.member_history.version IS
    'Counts the changes of the record, from 1.';
COMMENT ON COLUMN milestream.member_history.status IS
    'live, paused or deleted, from this change on; only live members earn.';
COMMENT ON COLUMN milestream.member_history.updated_at IS
    'Timestamp of the record that changed it.';
COMMENT ON COLUMN milestream.member_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.member_history');

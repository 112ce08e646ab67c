-- What members completed in pathways, and when: explanations of rewards are told from it.

CREATE TABLE milestream.pathway_history (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    pathway_id text COLLATE "C" NOT NULL,
    activity_id text COLLATE "C" NOT NULL,
    change text NOT NULL,
    complete boolean NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    void_id uuid,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, pathway_id, sequence, activity_id, change)
);
CREATE INDEX pathway_history_member_id ON milestream.pathway_history (member_id);
COMMENT ON TABLE milestream.pathway_history IS
    'Every time that a member completed an activity of a pathway, lost that by a void, was enrolled, or was not any more.';
COMMENT ON COLUMN milestream.pathway_history.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.pathway_history.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_history.activity_id IS
    'The activity; empty where the row is of the enrolment.';
COMMENT ON COLUMN milestream.pathway_history.change IS
    'completed, reverted (a log of the activity was voided), enrolled or unenrolled.';
COMMENT ON COLUMN milestream.pathway_history.complete IS
    'Whether the activity was completed afterwards; of an enrolment, whether there was one.';
COMMENT ON COLUMN milestream.pathway_history.at IS 'When it happened.';
COMMENT ON COLUMN milestream.pathway_history.recorded_at IS 'Timestamp of the record that did it.';
COMMENT ON COLUMN milestream.pathway_history.void_id IS 'The void that did it; null: none.';
COMMENT ON COLUMN milestream.pathway_history.definition_version IS
    'Offset in `definitions` of the pathway as it was then.';
COMMENT ON COLUMN milestream.pathway_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.pathway_history');

-- The read models of pathways: definitions, enrolments, logs, and counts that are kept as events come.

CREATE TABLE milestream.pathways (
    project text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
COMMENT ON TABLE milestream.pathways IS
    'The pathways in force: activities that enrolled members work through.';
COMMENT ON COLUMN milestream.pathways.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathways.id IS 'The pathway''s id.';
COMMENT ON COLUMN milestream.pathways.name IS 'Name.';
COMMENT ON COLUMN milestream.pathways.definition IS
    'The whole definition, fields by their names on the wire, defaults included.';
COMMENT ON COLUMN milestream.pathways.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.pathways.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.pathways.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.pathways');

-- No table: what a definition says is there already, and a view cannot disagree with it. The rules
-- of who sees which rows are those of `pathways`.
CREATE VIEW milestream.pathway_activities WITH (security_invoker = true) AS
SELECT
    pathway.project,
    pathway.id AS pathway_id,
    (activity.fields ->> 'id') COLLATE "C" AS activity_id,
    activity.place::integer AS place,
    activity.fields ->> 'name' AS name,
    activity.fields ->> 'type' AS type,
    activity.fields ->> 'fulfilmentType' AS fulfilment_type,
    (activity.fields ->> 'required')::boolean AS required,
    (activity.fields ->> 'level')::smallint AS level,
    (activity.fields ->> 'passScore')::numeric AS pass_score,
    activity.fields -> 'data' ->> 'category' AS category,
    activity.fields -> 'data' ->> 'formula' AS formula,
    (activity.fields -> 'data' ->> 'target')::numeric AS target,
    pathway.updated_at,
    pathway.version
FROM milestream.pathways AS pathway
CROSS JOIN LATERAL jsonb_array_elements(pathway.definition -> 'activities')
    WITH ORDINALITY AS activity (fields, place);
COMMENT ON VIEW milestream.pathway_activities IS
    'The activities of the pathways in force: what their definitions say, a row each.';
COMMENT ON COLUMN milestream.pathway_activities.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_activities.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_activities.activity_id IS
    'The activity''s id; unique in its pathway.';
COMMENT ON COLUMN milestream.pathway_activities.place IS 'Its place in the pathway, from 1.';
COMMENT ON COLUMN milestream.pathway_activities.name IS 'Name.';
COMMENT ON COLUMN milestream.pathway_activities.type IS 'Type, a lower-case name, such as story.';
COMMENT ON COLUMN milestream.pathway_activities.fulfilment_type IS
    'How it is fulfilled, a lower-case name, such as complete.';
COMMENT ON COLUMN milestream.pathway_activities.required IS
    'Whether the pathway is complete only with it.';
COMMENT ON COLUMN milestream.pathway_activities.level IS 'The level that it is on, 1 to 4.';
COMMENT ON COLUMN milestream.pathway_activities.pass_score IS
    'Score at which it is complete, where it is fulfilled by a score.';
COMMENT ON COLUMN milestream.pathway_activities.category IS
    'What it measures; null where it measures nothing.';
COMMENT ON COLUMN milestream.pathway_activities.formula IS
    'What its values come to: sum, latest, average or max; null where it measures nothing.';
COMMENT ON COLUMN milestream.pathway_activities.target IS
    'What that is to reach; null where it measures nothing.';
COMMENT ON COLUMN milestream.pathway_activities.updated_at IS 'When the pathway was last written.';
COMMENT ON COLUMN milestream.pathway_activities.version IS
    'The pathway''s version: the offset of its record in `definitions`.';
GRANT SELECT ON milestream.pathway_activities
    TO milestream_analyst, milestream_project_analyst;

CREATE TABLE milestream.pathway_enrolments (
    project text COLLATE "C" NOT NULL,
    pathway_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL,
    enrolled boolean NOT NULL,
    enrolled_at timestamptz,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, pathway_id, member_id)
) WITH (fillfactor = 85);
CREATE INDEX pathway_enrolments_member_id ON milestream.pathway_enrolments (member_id);
COMMENT ON TABLE milestream.pathway_enrolments IS 'Who is enrolled in a pathway, or was.';
COMMENT ON COLUMN milestream.pathway_enrolments.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_enrolments.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_enrolments.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.pathway_enrolments.id IS
    'The enrolment''s id; uuid5 of project, pathway and member.';
COMMENT ON COLUMN milestream.pathway_enrolments.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.pathway_enrolments.enrolled IS 'Whether the member is enrolled now.';
COMMENT ON COLUMN milestream.pathway_enrolments.enrolled_at IS 'When the member was last enrolled.';
COMMENT ON COLUMN milestream.pathway_enrolments.updated_at IS 'When that last changed.';
COMMENT ON COLUMN milestream.pathway_enrolments.version IS
    'Rises with everything the member does in the pathway.';
COMMENT ON COLUMN milestream.pathway_enrolments.definition_version IS
    'Offset in `definitions` of the pathway that it was made under.';
COMMENT ON COLUMN milestream.pathway_enrolments.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.pathway_enrolments');

CREATE TABLE milestream.pathway_logs (
    project text COLLATE "C" NOT NULL,
    pathway_id text COLLATE "C" NOT NULL,
    activity_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL,
    state text NOT NULL,
    complete boolean NOT NULL,
    progress numeric NOT NULL,
    timestamp timestamptz NOT NULL,
    fulfilment json NOT NULL,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, pathway_id, activity_id, member_id)
) WITH (fillfactor = 85);
CREATE INDEX pathway_logs_member_id ON milestream.pathway_logs (member_id);
COMMENT ON TABLE milestream.pathway_logs IS
    'What each member did at each activity of a pathway, enrolled or not; nothing done: no row.';
COMMENT ON COLUMN milestream.pathway_logs.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_logs.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_logs.activity_id IS 'The activity.';
COMMENT ON COLUMN milestream.pathway_logs.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.pathway_logs.id IS
    'The log''s id; uuid5 of project, pathway, activity and member.';
COMMENT ON COLUMN milestream.pathway_logs.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.pathway_logs.state IS 'in progress or completed.';
COMMENT ON COLUMN milestream.pathway_logs.complete IS 'Whether it is completed.';
COMMENT ON COLUMN milestream.pathway_logs.progress IS 'How far it is, 0 to 100.';
COMMENT ON COLUMN milestream.pathway_logs.timestamp IS
    'When it was completed, else when it was last worked at.';
COMMENT ON COLUMN milestream.pathway_logs.fulfilment IS
    'How it was fulfilled, as the pathway-logs face shows it: json and not jsonb, which would not keep the order of fields.';
COMMENT ON COLUMN milestream.pathway_logs.started_at IS 'When it was first worked at.';
COMMENT ON COLUMN milestream.pathway_logs.completed_at IS
    'When it was completed; null while it is not.';
COMMENT ON COLUMN milestream.pathway_logs.created_at IS
    'Timestamp of the input record that began it.';
COMMENT ON COLUMN milestream.pathway_logs.updated_at IS
    'Timestamp of the input record that last changed it.';
COMMENT ON COLUMN milestream.pathway_logs.definition_version IS
    'Offset in `definitions` of the pathway that it was made under.';
COMMENT ON COLUMN milestream.pathway_logs.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.pathway_logs');

CREATE TABLE milestream.pathway_profiles (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    names text[] NOT NULL,
    groups text[] NOT NULL,
    profile json NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id)
) WITH (fillfactor = 85);
CREATE INDEX pathway_profiles_searched ON milestream.pathway_profiles USING gin (names, groups);
COMMENT ON TABLE milestream.pathway_profiles IS
    'How the pathway-logs face shows each member, and what it finds them by.';
COMMENT ON COLUMN milestream.pathway_profiles.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_profiles.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.pathway_profiles.names IS
    'Email, first, last and full name, as far as they are known, in the case that filters are compared in.';
COMMENT ON COLUMN milestream.pathway_profiles.groups IS 'Groups, in that case too.';
COMMENT ON COLUMN milestream.pathway_profiles.profile IS
    'The first fields of a log; empty texts where nothing is known.';
COMMENT ON COLUMN milestream.pathway_profiles.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.pathway_profiles');

CREATE TABLE milestream.pathway_standings (
    project text COLLATE "C" NOT NULL,
    pathway_id text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    activity_id text COLLATE "C" NOT NULL,
    holds boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, pathway_id, member_id, activity_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.pathway_standings IS
    'Who is enrolled and who completed what: what pathway_stats are counted from.';
COMMENT ON COLUMN milestream.pathway_standings.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_standings.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_standings.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.pathway_standings.activity_id IS
    'The activity; empty: the pathway itself.';
COMMENT ON COLUMN milestream.pathway_standings.holds IS
    'Whether the activity is completed; of the pathway: whether the member is enrolled.';
COMMENT ON COLUMN milestream.pathway_standings.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.pathway_standings');

CREATE TABLE milestream.pathway_stats (
    project text COLLATE "C" NOT NULL,
    pathway_id text COLLATE "C" NOT NULL,
    activity_id text COLLATE "C" NOT NULL,
    members bigint NOT NULL,
    PRIMARY KEY (project, pathway_id, activity_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE milestream.pathway_stats IS
    'How many members are enrolled in a pathway, and how many of them completed what: exact counts, kept as events come.';
COMMENT ON COLUMN milestream.pathway_stats.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.pathway_stats.pathway_id IS 'The pathway.';
COMMENT ON COLUMN milestream.pathway_stats.activity_id IS
    'The activity; empty: the pathway itself. Those that the pathway had once are kept.';
COMMENT ON COLUMN milestream.pathway_stats.members IS
    'How many enrolled members completed the activity; of the pathway: how many are enrolled.';
SELECT milestream_private.protect('milestream.pathway_stats');

-- The read models of challenges. They have no foreign keys: their topics are not ordered against
-- each other. `project` sorts bytewise, which is what makes its indexes quick to fill.

CREATE TABLE milestream.projection_checkpoints (
    projection text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE milestream.projection_checkpoints IS
    'How far each read model has come in each partition of its topics; set in the transaction of the rows.';
COMMENT ON COLUMN milestream.projection_checkpoints.projection IS
    'The read model: a table of this schema.';
COMMENT ON COLUMN milestream.projection_checkpoints.topic IS 'The topic, without the prefix.';
COMMENT ON COLUMN milestream.projection_checkpoints.partition IS 'The topic''s partition.';
COMMENT ON COLUMN milestream.projection_checkpoints.next_offset IS
    'Every record before this offset is in the read model, and none after.';
COMMENT ON COLUMN milestream.projection_checkpoints.updated_at IS 'When the checkpoint last moved.';
SELECT milestream_private.protect('milestream.projection_checkpoints');

CREATE TABLE milestream.members (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    external_id text NOT NULL,
    first_name text,
    last_name text,
    email text,
    phone_number text,
    telephone text,
    country text,
    city text,
    groups text[] NOT NULL,
    timezone text,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id)
);
CREATE INDEX members_external_id ON milestream.members (project, external_id);
CREATE INDEX members_created_at ON milestream.members (project, created_at);
COMMENT ON TABLE milestream.members IS
    'Members: the newest state of each, with its personal fields.';
COMMENT ON COLUMN milestream.members.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.members.member_id IS 'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.members.external_id IS
    'The id that the project''s own systems know the member by (`userId`, `UID`).';
COMMENT ON COLUMN milestream.members.first_name IS 'First name.';
COMMENT ON COLUMN milestream.members.last_name IS 'Last name.';
COMMENT ON COLUMN milestream.members.email IS 'E-mail address.';
COMMENT ON COLUMN milestream.members.phone_number IS 'Telephone number as E.164.';
COMMENT ON COLUMN milestream.members.telephone IS 'Telephone number as it was given.';
COMMENT ON COLUMN milestream.members.country IS 'Country.';
COMMENT ON COLUMN milestream.members.city IS 'City.';
COMMENT ON COLUMN milestream.members.groups IS 'Groups that the member is in.';
COMMENT ON COLUMN milestream.members.timezone IS 'IANA time zone of the member.';
COMMENT ON COLUMN milestream.members.status IS 'live, paused or deleted; only live members earn.';
COMMENT ON COLUMN milestream.members.created_at IS 'When the member became known.';
COMMENT ON COLUMN milestream.members.updated_at IS 'When the member last changed.';
COMMENT ON COLUMN milestream.members.version IS 'Counts the changes of the record, from 1.';
COMMENT ON COLUMN milestream.members.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.members');

CREATE TABLE milestream.challenges (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    status text NOT NULL,
    aggregation_method text NOT NULL,
    aggregation_period text NOT NULL,
    completion_target_value numeric NOT NULL,
    timezone text,
    starts_at timestamptz,
    ends_at timestamptz,
    activity_ids text[],
    event_ids text[],
    value_field text,
    points_on_completion bigint,
    challenge_group text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
COMMENT ON TABLE milestream.challenges IS
    'Challenges in force, as `definitions` has them; a deleted one is gone.';
COMMENT ON COLUMN milestream.challenges.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.challenges.id IS 'The challenge''s id.';
COMMENT ON COLUMN milestream.challenges.name IS 'Name.';
COMMENT ON COLUMN milestream.challenges.description IS 'Description.';
COMMENT ON COLUMN milestream.challenges.status IS
    'draft, live or paused; logs count on live ones only.';
COMMENT ON COLUMN milestream.challenges.aggregation_method IS
    'sum of the logs'' values, or count of the logs.';
COMMENT ON COLUMN milestream.challenges.aggregation_period IS
    'daily, weekly, monthly, yearly or all_time.';
COMMENT ON COLUMN milestream.challenges.completion_target_value IS
    'Progress at which the challenge is completed.';
COMMENT ON COLUMN milestream.challenges.timezone IS
    'IANA time zone of its periods; null: the project''s.';
COMMENT ON COLUMN milestream.challenges.starts_at IS
    'Logs before this do not count; null: no start.';
COMMENT ON COLUMN milestream.challenges.ends_at IS 'Logs from this on do not count; null: no end.';
COMMENT ON COLUMN milestream.challenges.activity_ids IS 'The activities that count; null: all.';
COMMENT ON COLUMN milestream.challenges.event_ids IS 'Events that feed the challenge; null: none.';
COMMENT ON COLUMN milestream.challenges.value_field IS
    'Field of such an event''s metadata that is its value.';
COMMENT ON COLUMN milestream.challenges.points_on_completion IS
    'Points for completing it; null: none.';
COMMENT ON COLUMN milestream.challenges.challenge_group IS
    'The points'' group (the game-mechanics face''s challengeID).';
COMMENT ON COLUMN milestream.challenges.created_at IS
    'Timestamp of the record that made the definition.';
COMMENT ON COLUMN milestream.challenges.updated_at IS 'Timestamp of the record in force.';
COMMENT ON COLUMN milestream.challenges.version IS
    'Offset in `definitions` of the record in force.';
SELECT milestream_private.protect('milestream.challenges');

CREATE TABLE milestream.milestones (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    linked_schema_slug text NOT NULL,
    linked_schema_record_id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    milestone_target_value numeric NOT NULL,
    status text NOT NULL,
    points bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX milestones_linked ON milestream.milestones (project, linked_schema_record_id);
COMMENT ON TABLE milestream.milestones IS
    'Milestones in force, as `definitions` has them; a deleted one is gone.';
COMMENT ON COLUMN milestream.milestones.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.milestones.id IS 'The milestone''s id.';
COMMENT ON COLUMN milestream.milestones.linked_schema_slug IS
    'What the milestone belongs to: challenge, streak or pathway.';
COMMENT ON COLUMN milestream.milestones.linked_schema_record_id IS
    'The id of that challenge, streak or pathway.';
COMMENT ON COLUMN milestream.milestones.name IS 'Name.';
COMMENT ON COLUMN milestream.milestones.description IS 'Description.';
COMMENT ON COLUMN milestream.milestones.milestone_target_value IS
    'Value at which the milestone is reached.';
COMMENT ON COLUMN milestream.milestones.status IS
    'draft, live or paused; only live ones are reached.';
COMMENT ON COLUMN milestream.milestones.points IS 'Points for reaching it; null: none.';
COMMENT ON COLUMN milestream.milestones.created_at IS
    'Timestamp of the record that made the definition.';
COMMENT ON COLUMN milestream.milestones.updated_at IS 'Timestamp of the record in force.';
COMMENT ON COLUMN milestream.milestones.version IS
    'Offset in `definitions` of the record in force.';
SELECT milestream_private.protect('milestream.milestones');

CREATE TABLE milestream.challenge_logs (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    challenge_id uuid NOT NULL,
    member_id uuid NOT NULL,
    activity_at timestamptz NOT NULL,
    activity_id text NOT NULL,
    unique_identifier text NOT NULL,
    activity_value numeric,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    progress_id uuid,
    period_key text,
    aggregation_method text,
    aggregation_period text,
    timezone text,
    progress_value numeric,
    progress_status text,
    challenge_started_at timestamptz,
    challenge_completed_at timestamptz,
    challenge_failed_at timestamptz,
    progress_created_at timestamptz,
    progress_updated_at timestamptz,
    achieved_milestone_ids uuid[] NOT NULL,
    achieved_milestone_reward_log_ids uuid[] NOT NULL,
    next_milestone_id uuid,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX challenge_logs_created_at ON milestream.challenge_logs (project, created_at);
CREATE INDEX challenge_logs_member_id ON milestream.challenge_logs (member_id);
COMMENT ON TABLE milestream.challenge_logs IS
    'Every challenge log that was recorded, each with the progress as it stood after it.';
COMMENT ON COLUMN milestream.challenge_logs.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.challenge_logs.id IS
    'The log''s id; uuid5 of project, challenge, member and unique identifier.';
COMMENT ON COLUMN milestream.challenge_logs.challenge_id IS 'The challenge.';
COMMENT ON COLUMN milestream.challenge_logs.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.challenge_logs.activity_at IS
    'When the member did it; puts the log into its period.';
COMMENT ON COLUMN milestream.challenge_logs.activity_id IS 'What the member did.';
COMMENT ON COLUMN milestream.challenge_logs.unique_identifier IS
    'The producer''s identifier: equal ones are the same log.';
COMMENT ON COLUMN milestream.challenge_logs.activity_value IS
    'The log''s value; null where none was sent.';
COMMENT ON COLUMN milestream.challenge_logs.status IS
    'draft, live or paused; only live logs are aggregated.';
COMMENT ON COLUMN milestream.challenge_logs.created_at IS 'Timestamp of the input record.';
COMMENT ON COLUMN milestream.challenge_logs.progress_id IS
    'The progress that the log belongs to; this and the progress columns are null where it had none.';
COMMENT ON COLUMN milestream.challenge_logs.period_key IS
    'The period of that progress: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.challenge_logs.aggregation_method IS
    'Method that the progress began with: sum or count.';
COMMENT ON COLUMN milestream.challenge_logs.aggregation_period IS
    'Period that it began with: daily, weekly, monthly, yearly or all_time.';
COMMENT ON COLUMN milestream.challenge_logs.timezone IS 'Time zone that it began with.';
COMMENT ON COLUMN milestream.challenge_logs.progress_value IS 'Progress after this log.';
COMMENT ON COLUMN milestream.challenge_logs.progress_status IS
    'in_progress, completed or failed, after this log.';
COMMENT ON COLUMN milestream.challenge_logs.challenge_started_at IS
    'Earliest counted activity of the period, after this log.';
COMMENT ON COLUMN milestream.challenge_logs.challenge_completed_at IS
    'Activity that reached the target, after this log; null: none yet.';
COMMENT ON COLUMN milestream.challenge_logs.challenge_failed_at IS
    'End of the period missed, after this log; null: not failed.';
COMMENT ON COLUMN milestream.challenge_logs.progress_created_at IS
    'When the progress began to be kept.';
COMMENT ON COLUMN milestream.challenge_logs.progress_updated_at IS
    'When it had last changed, after this log.';
COMMENT ON COLUMN milestream.challenge_logs.achieved_milestone_ids IS
    'Milestones that this log reached, by rising target: the last one is `achievedMilestone`.';
COMMENT ON COLUMN milestream.challenge_logs.achieved_milestone_reward_log_ids IS
    'Their reward logs, in the same order.';
COMMENT ON COLUMN milestream.challenge_logs.next_milestone_id IS
    'Lowest milestone not yet reached after this log; null: none left.';
COMMENT ON COLUMN milestream.challenge_logs.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.challenge_logs.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.challenge_logs');

CREATE TABLE milestream.challenge_progress (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    challenge_id uuid NOT NULL,
    member_id uuid NOT NULL,
    period_key text NOT NULL,
    aggregation_method text NOT NULL,
    aggregation_period text NOT NULL,
    timezone text NOT NULL,
    current_progress_value numeric NOT NULL,
    status text NOT NULL,
    challenge_started_at timestamptz NOT NULL,
    challenge_completed_at timestamptz,
    challenge_failed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, challenge_id, member_id, period_key)
) WITH (fillfactor = 85);
CREATE INDEX challenge_progress_id ON milestream.challenge_progress (project, id);
CREATE INDEX challenge_progress_created_at ON milestream.challenge_progress (project, created_at);
CREATE INDEX challenge_progress_member_id ON milestream.challenge_progress (member_id);
COMMENT ON TABLE milestream.challenge_progress IS
    'Progress of each member in each period of a challenge: the newest state.';
COMMENT ON COLUMN milestream.challenge_progress.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.challenge_progress.id IS
    'The progress'' id; uuid5 of project, challenge, member and period.';
COMMENT ON COLUMN milestream.challenge_progress.challenge_id IS 'The challenge.';
COMMENT ON COLUMN milestream.challenge_progress.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.challenge_progress.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.challenge_progress.aggregation_method IS
    'Method that the progress began with: sum or count.';
COMMENT ON COLUMN milestream.challenge_progress.aggregation_period IS
    'Period that it began with: daily, weekly, monthly, yearly or all_time.';
COMMENT ON COLUMN milestream.challenge_progress.timezone IS 'Time zone that it began with.';
COMMENT ON COLUMN milestream.challenge_progress.current_progress_value IS
    'Sum or count so far; never below 0.';
COMMENT ON COLUMN milestream.challenge_progress.status IS 'in_progress, completed or failed.';
COMMENT ON COLUMN milestream.challenge_progress.challenge_started_at IS
    'Earliest counted activity of the period.';
COMMENT ON COLUMN milestream.challenge_progress.challenge_completed_at IS
    'Activity that reached the target; null: not completed.';
COMMENT ON COLUMN milestream.challenge_progress.challenge_failed_at IS
    'End of the period that was missed; null: not failed.';
COMMENT ON COLUMN milestream.challenge_progress.created_at IS 'When the progress began to be kept.';
COMMENT ON COLUMN milestream.challenge_progress.updated_at IS 'When it last changed.';
COMMENT ON COLUMN milestream.challenge_progress.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.challenge_progress.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.challenge_progress');

CREATE TABLE milestream.milestones_reached (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    milestone_id uuid NOT NULL,
    linked_schema_slug text NOT NULL,
    linked_schema_record_id text NOT NULL,
    period_key text NOT NULL,
    value numeric NOT NULL,
    reached_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX milestones_reached_reached_at ON milestream.milestones_reached (project, reached_at);
CREATE INDEX milestones_reached_member_id ON milestream.milestones_reached (member_id);
COMMENT ON TABLE milestream.milestones_reached IS
    'That a member reached a milestone, once per period.';
COMMENT ON COLUMN milestream.milestones_reached.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.milestones_reached.id IS
    'The fact''s id; uuid5 of project, milestone, member and period.';
COMMENT ON COLUMN milestream.milestones_reached.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.milestones_reached.milestone_id IS 'The milestone.';
COMMENT ON COLUMN milestream.milestones_reached.linked_schema_slug IS
    'What the milestone belongs to: challenge, streak or pathway.';
COMMENT ON COLUMN milestream.milestones_reached.linked_schema_record_id IS
    'The id of that challenge, streak or pathway.';
COMMENT ON COLUMN milestream.milestones_reached.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.milestones_reached.value IS 'Progress at that moment.';
COMMENT ON COLUMN milestream.milestones_reached.reached_at IS
    'When the member did what reached it.';
COMMENT ON COLUMN milestream.milestones_reached.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.milestones_reached.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.milestones_reached');

CREATE TABLE milestream.reward_logs (
    project text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    linked_schema_slug text NOT NULL,
    linked_schema_record_id text NOT NULL,
    milestone_id uuid NOT NULL,
    period_key text NOT NULL,
    coupon_code text,
    reward_issued_at timestamptz,
    reward_expiry_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE INDEX reward_logs_created_at ON milestream.reward_logs (project, created_at);
CREATE INDEX reward_logs_member_id ON milestream.reward_logs (member_id);
COMMENT ON TABLE milestream.reward_logs IS
    'Rewards: one per member, milestone and period, and how it was fulfilled.';
COMMENT ON COLUMN milestream.reward_logs.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.reward_logs.id IS
    'The reward log''s id; uuid5 of project, milestone, member and period.';
COMMENT ON COLUMN milestream.reward_logs.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.reward_logs.linked_schema_slug IS
    'What the milestone belongs to: challenge, streak or pathway.';
COMMENT ON COLUMN milestream.reward_logs.linked_schema_record_id IS
    'The id of that challenge, streak or pathway.';
COMMENT ON COLUMN milestream.reward_logs.milestone_id IS 'The milestone that it is for.';
COMMENT ON COLUMN milestream.reward_logs.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.reward_logs.coupon_code IS
    'The coupon that was issued; null: none yet.';
COMMENT ON COLUMN milestream.reward_logs.reward_issued_at IS 'When it was issued; null: not yet.';
COMMENT ON COLUMN milestream.reward_logs.reward_expiry_at IS 'When it expires; null: it does not.';
COMMENT ON COLUMN milestream.reward_logs.created_at IS 'When the reward was granted.';
COMMENT ON COLUMN milestream.reward_logs.updated_at IS 'When it last changed.';
COMMENT ON COLUMN milestream.reward_logs.version IS 'Counts the changes of the record, from 1.';
COMMENT ON COLUMN milestream.reward_logs.definition_version IS
    'Offset in `definitions` of the rule that it was made under.';
COMMENT ON COLUMN milestream.reward_logs.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.reward_logs');

CREATE TABLE milestream.dead_letters (
    project text COLLATE "C",
    reason text NOT NULL,
    message text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text,
    key_encoding text NOT NULL,
    value text,
    headers jsonb NOT NULL,
    attempts integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);
CREATE INDEX dead_letters_at ON milestream.dead_letters (at);
COMMENT ON TABLE milestream.dead_letters IS
    'Input records that were refused, each with its place and bytes.';
COMMENT ON COLUMN milestream.dead_letters.project IS
    'The project that the record named; null where that could not be read.';
COMMENT ON COLUMN milestream.dead_letters.reason IS
    'malformed, invalid, misplaced, unknown_challenge, unknown_member, unknown_event, unknown_pathway, unknown_activity, inactive or too_large.';
COMMENT ON COLUMN milestream.dead_letters.message IS 'What is wrong, for people.';
COMMENT ON COLUMN milestream.dead_letters.topic IS 'Topic of the record, without the prefix.';
COMMENT ON COLUMN milestream.dead_letters.partition IS 'Its partition.';
COMMENT ON COLUMN milestream.dead_letters."offset" IS 'Its offset.';
COMMENT ON COLUMN milestream.dead_letters.key IS 'Its key; null where it had none.';
COMMENT ON COLUMN milestream.dead_letters.key_encoding IS
    'How the key is written: utf-8 or base64.';
COMMENT ON COLUMN milestream.dead_letters.value IS
    'Its value as base64; null where it had none, or one too large to carry.';
COMMENT ON COLUMN milestream.dead_letters.headers IS
    'Its headers: a list of {key, value}, values as base64.';
COMMENT ON COLUMN milestream.dead_letters.attempts IS
    'How often it was tried; more than 1 after a redrive.';
COMMENT ON COLUMN milestream.dead_letters.at IS 'Timestamp of the record.';
SELECT milestream_private.protect('milestream.dead_letters');

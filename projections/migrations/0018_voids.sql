-- Voids: what was taken back of what was recorded.

CREATE TABLE milestream.voids (
    project text COLLATE "C" NOT NULL,
    void_id uuid NOT NULL,
    member_id uuid NOT NULL,
    what text NOT NULL,
    id uuid NOT NULL,
    portion numeric NOT NULL,
    unique_identifier text NOT NULL,
    reason text NOT NULL,
    actor text,
    at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, void_id)
);
CREATE INDEX voids_id ON milestream.voids (project, id);
CREATE INDEX voids_at ON milestream.voids (project, at);
CREATE INDEX voids_member_id ON milestream.voids (member_id, at);
COMMENT ON TABLE milestream.voids IS
    'Every void: what was taken back, how much of it, and why. A log that was fed by a voided event has no row of its own.';
COMMENT ON COLUMN milestream.voids.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.voids.void_id IS
    'The void''s id; uuid5 of project, member and the command''s unique identifier.';
COMMENT ON COLUMN milestream.voids.member_id IS 'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.voids.what IS
    'challenge_log, event, redemption, spend, capture or activity_log.';
COMMENT ON COLUMN milestream.voids.id IS
    'What was voided: the id in challenge_logs or event_log; of points its entry in points_ledger; of an activity''s log that which its project, member and names make.';
COMMENT ON COLUMN milestream.voids.portion IS
    'How much of it this void took back, above 0 and at most 1; all voids of a thing come to 1 at most.';
COMMENT ON COLUMN milestream.voids.unique_identifier IS 'That of the command.';
COMMENT ON COLUMN milestream.voids.reason IS 'What the command said why.';
COMMENT ON COLUMN milestream.voids.actor IS 'Who did it, as the command has it; null where it does not say.';
COMMENT ON COLUMN milestream.voids.at IS 'Timestamp of the command''s record.';
COMMENT ON COLUMN milestream.voids.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.voids');

ALTER TABLE milestream.challenge_logs ADD COLUMN voided_portion numeric NOT NULL DEFAULT 0;
COMMENT ON COLUMN milestream.challenge_logs.voided_portion IS
    'How much of the log was voided since, 0 to 1; progress_value and the others are as they were after the log.';

ALTER TABLE milestream.event_log ADD COLUMN voided_portion numeric NOT NULL DEFAULT 0;
COMMENT ON TABLE milestream.event_log IS
    'Every event that was logged, with what it gave; and how much of it was voided since.';
COMMENT ON COLUMN milestream.event_log.voided_portion IS
    'How much of the event was voided since, 0 to 1; points are those that it gave.';

-- What anything was said to be counted from follows voids.
COMMENT ON TABLE milestream.event_stats_hourly IS
    'What was logged of each event in each hour, and not voided.';
COMMENT ON COLUMN milestream.event_stats_hourly.events IS
    'How many events were logged, without those that were wholly voided.';
COMMENT ON COLUMN milestream.event_stats_hourly.points IS
    'Points that they gave, less those voided; a whole number.';
COMMENT ON TABLE milestream.event_stats_hourly_all IS
    'How many events of any kind were logged in each hour, and not voided: the sum of event_stats_hourly.';
COMMENT ON COLUMN milestream.event_stats_hourly_all.events IS
    'How many events were logged, without those that were wholly voided.';
COMMENT ON TABLE milestream.event_stats_daily IS
    'What was logged of each event, and of all together, on each day, and not voided. Its users are in event_user_counts.';
COMMENT ON COLUMN milestream.event_stats_daily.events IS
    'How many events were logged, without those that were wholly voided.';
COMMENT ON COLUMN milestream.event_stats_daily.points IS
    'Points that they gave, less those voided; a whole number.';
COMMENT ON TABLE milestream.event_user_days IS
    'On which days of a month a member was active, by events that were not wholly voided: what unique users are counted from.';

ALTER TABLE milestream.reward_logs
    ADD COLUMN revoked_at timestamptz,
    ADD COLUMN status text GENERATED ALWAYS AS (
        CASE
            WHEN revoked_at IS NOT NULL THEN 'revoked'
            WHEN reward_issued_at IS NOT NULL THEN 'issued'
            ELSE 'granted'
        END
    ) STORED;
COMMENT ON COLUMN milestream.reward_logs.revoked_at IS
    'When it was taken back, because what it was for was voided; null: it was not, or was granted again.';
COMMENT ON COLUMN milestream.reward_logs.status IS 'granted, issued or revoked.';

ALTER TABLE milestream.points_ledger
    ADD COLUMN not_recovered numeric NOT NULL DEFAULT 0,
    ADD COLUMN granted_at timestamptz,
    ADD COLUMN reversed_entry_id uuid,
    ADD COLUMN void_id uuid;
COMMENT ON COLUMN milestream.points_ledger.action_id IS
    'The event, challenge:<id>, milestone:<id>, redeem, spend, capture, adjust, expire or reverse (what a void moved back).';
COMMENT ON COLUMN milestream.points_ledger.points IS
    'Points, signed; a whole number, 0 only where a cap took all of a grant, or a void moved none. A redemption is written in full.';
COMMENT ON COLUMN milestream.points_ledger.operation IS
    'grant, redeem, spend, capture, adjust, expire or reverse.';
COMMENT ON COLUMN milestream.points_ledger.not_recovered IS
    'Points that a void was to take and that were not there any more; they are not in points.';
COMMENT ON COLUMN milestream.points_ledger.granted_at IS
    'When the points counted that a void takes back: boards fall there; null for all else.';
COMMENT ON COLUMN milestream.points_ledger.reversed_entry_id IS
    'The entry whose points a void takes back or gives back; null for all else.';
COMMENT ON COLUMN milestream.points_ledger.void_id IS
    'The void (voids.void_id) that moved the points; null for all else.';
COMMENT ON TABLE milestream.leaderboard_points IS
    'What was granted on each day (UTC), by user group and event, less what of it was voided.';
COMMENT ON COLUMN milestream.leaderboard_points.points IS
    'Points granted, less those of them that were voided, recovered or not; a whole number.';

-- Further reasons why a record is refused.
COMMENT ON COLUMN milestream.dead_letters.reason IS
    'malformed, invalid, misplaced, unknown_challenge, unknown_member, unknown_event, unknown_pathway, unknown_activity, unknown_tier_set, unknown_tier, unknown_hold, hold_closed, too_many_holds, member_paused, unknown_log, belongs_to_event, not_voidable, over_voided, reward_revoked, inactive, too_large or poison (it could not be folded).';

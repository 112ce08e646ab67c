-- Boards in order: a score for each member and board, and how many members have how many points, so
-- that the top and a rank are read without adding up the days of all members.

-- Not strict: a strict one would be called for each score, and not become part of the statement.
CREATE FUNCTION milestream.score_band(points numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN trunc(points, least(0, 3 - length(trunc(points)::text)));
COMMENT ON FUNCTION milestream.score_band(numeric) IS
    'Points, cut to their first three digits: the band of scores that they fall into.';
CREATE FUNCTION milestream.score_band_end(points numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN trunc(points, least(0, 3 - length(trunc(points)::text)))
        + ('1e' || greatest(0, length(trunc(points)::text) - 3))::numeric;
COMMENT ON FUNCTION milestream.score_band_end(numeric) IS
    'Where the band that these points fall into ends, and the next one begins.';
REVOKE EXECUTE ON FUNCTION milestream.score_band(numeric), milestream.score_band_end(numeric)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milestream.score_band(numeric), milestream.score_band_end(numeric)
    TO milestream_analyst, milestream_project_analyst, milestream_api, milestream_projector;

CREATE TABLE milestream.leaderboard_days (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    day date NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    points numeric NOT NULL,
    standing bigint NOT NULL,
    PRIMARY KEY (project, member_id, day)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.leaderboard_days IS
    'What each member was granted on each day, and whether it is there at all: what scores are made from.';
COMMENT ON COLUMN milestream.leaderboard_days.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.leaderboard_days.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.leaderboard_days.day IS
    'The day of the grants'' occurred_at, in UTC; 0001-01-01 in the row that has the standing.';
COMMENT ON COLUMN milestream.leaderboard_days.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.leaderboard_days.points IS
    'Sum of the points granted; a whole number.';
COMMENT ON COLUMN milestream.leaderboard_days.standing IS
    'Twice the sequence of the member''s last change, and one more where it was deleted then; 0 in rows of points.';
SELECT milestream_private.protect('milestream.leaderboard_days');

-- The days of a rolling board go by, so its rows are written again when theirs do.
CREATE TABLE milestream.leaderboard_scores (
    project text COLLATE "C" NOT NULL,
    board text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    points numeric NOT NULL,
    due date,
    PRIMARY KEY (project, board, member_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX leaderboard_scores_points
    ON milestream.leaderboard_scores (project, board, points DESC, user_id) WHERE points > 0;
CREATE INDEX leaderboard_scores_due
    ON milestream.leaderboard_scores (due, project, board) WHERE due IS NOT NULL;
COMMENT ON TABLE milestream.leaderboard_scores IS
    'Each member''s points on each board that counts all points; deleted members have none.';
COMMENT ON COLUMN milestream.leaderboard_scores.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.leaderboard_scores.board IS
    'The days that count, in UTC: a month as 2026-11; or 7d, 30d, 365d, which end today.';
COMMENT ON COLUMN milestream.leaderboard_scores.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.leaderboard_scores.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.leaderboard_scores.points IS
    'Sum of the points granted on these days; a whole number.';
COMMENT ON COLUMN milestream.leaderboard_scores.due IS
    'Until when the points are right without a new grant: on that day a day leaves the board, or one that was ahead comes to it; null: for ever.';
SELECT milestream_private.protect('milestream.leaderboard_scores');

CREATE TABLE milestream.leaderboard_counts (
    project text COLLATE "C" NOT NULL,
    board text COLLATE "C" NOT NULL,
    band numeric NOT NULL,
    members bigint NOT NULL,
    PRIMARY KEY (project, board, band)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE milestream.leaderboard_counts IS
    'How many members of a board have how many points: what a rank is counted from.';
COMMENT ON COLUMN milestream.leaderboard_counts.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.leaderboard_counts.board IS 'As in leaderboard_scores.';
COMMENT ON COLUMN milestream.leaderboard_counts.band IS
    'The first three digits of their points, zeros for the others: 1230 are 1230 to 1239 points.';
COMMENT ON COLUMN milestream.leaderboard_counts.members IS 'How many members.';
SELECT milestream_private.protect('milestream.leaderboard_counts');

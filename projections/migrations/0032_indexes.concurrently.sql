-- Indexes on tables that may be large already. One at a time, without a transaction, so that rows
-- are written meanwhile; each may have been made before this was cut off.

-- What has no place yet; empty where all rows have. A progress has no such index: its place changes
-- with each update, which must touch none.
CREATE INDEX CONCURRENTLY IF NOT EXISTS challenge_logs_without_place
    ON milestream.challenge_logs (project) WHERE place IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS points_ledger_without_place
    ON milestream.points_ledger (project) WHERE place IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS tier_history_without_place
    ON milestream.tier_history (project) WHERE place IS NULL;

-- Dead letters by reason, the newest of any, and one by itself.
CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_project
    ON milestream.dead_letters (project, reason, at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_newest
    ON milestream.dead_letters (project, at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_place
    ON milestream.dead_letters (project, place);

-- Members by the beginnings of their names and of what else names them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_name
    ON milestream.members (
        project, lower(coalesce(first_name, '') || ' ' || coalesce(last_name, '')) text_pattern_ops
    );
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_last_name
    ON milestream.members (project, lower(last_name) text_pattern_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_email
    ON milestream.members (project, lower(email) text_pattern_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS members_external_id_beginning
    ON milestream.members (project, external_id text_pattern_ops);
SELECT milestream_private.hide_statistics('milestream.members');

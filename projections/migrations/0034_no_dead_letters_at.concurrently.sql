-- Dead letters by time alone, which nothing asks for: whoever looked for the newest of a project or a
-- reason was led through those of all others.
DROP INDEX CONCURRENTLY IF EXISTS milestream.dead_letters_at;

-- What redrives wait for: a lock of their own, which they hold for seconds.
INSERT INTO milestream_private.locks VALUES (1024) ON CONFLICT DO NOTHING;
COMMENT ON COLUMN milestream_private.locks.slot IS
    'From 0 to 1023, which names are spread over; 1024: redrives.';

-- An index over an expression has statistics of its own: none of what is personal, either.
ALTER FUNCTION milestream_private.hide_statistics(regclass) RENAME TO hide_column_statistics;
COMMENT ON FUNCTION milestream_private.hide_column_statistics(regclass) IS
    'Lets the planner keep no statistics of the personal columns of a table.';

CREATE FUNCTION milestream_private.hide_statistics(target regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    hidden record;
BEGIN
    PERFORM milestream_private.hide_column_statistics(target);
    FOR hidden IN
        SELECT attrelid::regclass AS index, attnum AS number
        FROM pg_catalog.pg_index JOIN pg_catalog.pg_attribute ON attrelid = indexrelid
        WHERE indrelid = target AND attnum <= indnkeyatts AND indkey[attnum - 1] = 0
    LOOP
        EXECUTE format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS 0',
            hidden.index, hidden.number);
    END LOOP;
END
$$;
COMMENT ON FUNCTION milestream_private.hide_statistics(regclass) IS
    'Lets the planner keep no statistics of the personal columns of a table, nor of expressions that it has indexes over.';
REVOKE EXECUTE ON FUNCTION milestream_private.hide_statistics(regclass) FROM PUBLIC;

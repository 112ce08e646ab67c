-- What redrives wait for: a lock of their own, which they hold for seconds.
INSERT INTO milestream_private.locks VALUES (1024) ON CONFLICT DO NOTHING;
COMMENT ON COLUMN milestream_private.locks.slot IS
    'From 0 to 1023, which names are spread over; 1024: redrives.';

-- An index over an expression has statistics of its own: none of what is personal, either.
CREATE OR REPLACE FUNCTION milestream_private.hide_statistics(target regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    hidden record;
BEGIN
    FOR hidden IN
        SELECT attname, relname, relnamespace::regnamespace::text AS schema
        FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
        WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
            AND attname IN ('external_id', 'user_id', 'first_name', 'last_name', 'email',
                'phone_number', 'telephone', 'city', 'coupon_code', 'ip', 'metadata')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', target, hidden.attname);
        IF to_regprocedure('pg_catalog.pg_clear_attribute_stats(text, text, text, boolean)')
            IS NOT NULL
        THEN
            EXECUTE format('SELECT pg_catalog.pg_clear_attribute_stats(%L, %L, %L, false)',
                hidden.schema, hidden.relname, hidden.attname);
        END IF;
    END LOOP;
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

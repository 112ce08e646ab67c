-- A member's attributes are personal, and what led to an assigned tier may name people: the planner
-- keeps no statistics of them, from which an estimate could tell another project's values.
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
                'phone_number', 'telephone', 'city', 'coupon_code', 'ip', 'metadata', 'reason',
                'actor', 'attributes', 'assigned_because')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', target, hidden.attname);
        IF to_regprocedure('pg_catalog.pg_clear_attribute_stats(text, text, text, boolean)')
            IS NOT NULL
        THEN
            EXECUTE format('SELECT pg_catalog.pg_clear_attribute_stats(%L, %L, %L, false)',
                hidden.schema, hidden.relname, hidden.attname);
        END IF;
    END LOOP;
END
$$;
SELECT milestream_private.hide_statistics('milestream.members');
SELECT milestream_private.hide_statistics('milestream.tier_history');
SELECT milestream_private.hide_statistics('milestream.member_tiers');

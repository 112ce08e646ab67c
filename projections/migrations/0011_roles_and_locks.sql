-- Roles for what runs, rows to lock in place of advisory locks (whose numbers any login can compute),
-- secrets that were rotated, counters of requests, and bounds on analysts' logins.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['milestream_api', 'milestream_projector'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made by another database's migration meanwhile
            END;
        END IF;
        IF NOT pg_catalog.pg_has_role(current_user, wanted, 'USAGE') THEN
            BEGIN
                EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
            EXCEPTION WHEN unique_violation OR insufficient_privilege THEN
                NULL;  -- made by another owner: who runs as this one keeps its rights
            END;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA milestream, milestream_private TO milestream_api, milestream_projector;
-- Only a role that may create there can own tables of a schema.
GRANT CREATE ON SCHEMA milestream TO milestream_projector;
GRANT SELECT ON milestream_private.migrations TO milestream_api, milestream_projector;
GRANT SELECT, INSERT ON milestream_private.projection_source TO milestream_projector;
GRANT SELECT ON milestream_private.api_keys, milestream_private.jwt_keys TO milestream_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON milestream_private.used_nonces TO milestream_api;
GRANT SELECT ON milestream.pathway_activities TO milestream_api;
GRANT EXECUTE ON FUNCTION milestream.event_users(text, date, date) TO milestream_api;

-- What the planner expects is shown to every login (EXPLAIN), and its histograms hold values of all
-- projects: it keeps none of what is personal.
CREATE FUNCTION milestream_private.hide_statistics(target regclass) RETURNS void
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
END
$$;
COMMENT ON FUNCTION milestream_private.hide_statistics(regclass) IS
    'Lets the planner keep no statistics of the personal columns of a table.';
REVOKE EXECUTE ON FUNCTION milestream_private.hide_statistics(regclass) FROM PUBLIC;

-- A read model belongs to the projector, for COPY passes no row-level security.
CREATE OR REPLACE FUNCTION milestream_private.protect(target regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    visible text := 'true';
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = target AND attname = 'project' AND NOT attisdropped
    ) THEN
        visible := 'project = (SELECT milestream.analyst_project())';
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('DROP POLICY IF EXISTS analyst ON %s', target);
    EXECUTE format('DROP POLICY IF EXISTS project_analyst ON %s', target);
    EXECUTE format('DROP POLICY IF EXISTS api ON %s', target);
    EXECUTE format(
        'CREATE POLICY analyst ON %s FOR SELECT TO milestream_analyst USING (true)', target);
    EXECUTE format(
        'CREATE POLICY project_analyst ON %s FOR SELECT TO milestream_project_analyst USING (%s)',
        target, visible);
    EXECUTE format('CREATE POLICY api ON %s FOR SELECT TO milestream_api USING (true)', target);
    EXECUTE format(
        'GRANT SELECT ON %s TO milestream_analyst, milestream_project_analyst, milestream_api',
        target);
    PERFORM milestream_private.hide_statistics(target);
    IF pg_catalog.pg_has_role(current_user, 'milestream_projector', 'USAGE') THEN
        EXECUTE format('ALTER TABLE %s OWNER TO milestream_projector', target);
    END IF;
END
$$;
SELECT milestream_private.protect(oid::regclass) FROM pg_catalog.pg_class
WHERE relnamespace = 'milestream'::regnamespace AND relkind = 'r' ORDER BY oid;

CREATE TABLE milestream_private.locks (slot integer PRIMARY KEY);
COMMENT ON TABLE milestream_private.locks IS
    'Rows to lock: whoever writes a definition locks the one that its key falls to.';
COMMENT ON COLUMN milestream_private.locks.slot IS 'From 0 to 1023.';
INSERT INTO milestream_private.locks SELECT generate_series(0, 1023);
-- A row is locked by those only who may update it.
GRANT SELECT, UPDATE ON milestream_private.locks TO milestream_api;

CREATE TABLE milestream_private.rebuilds (
    read_model text PRIMARY KEY,
    pid integer NOT NULL,
    backend_start timestamptz NOT NULL
);
COMMENT ON TABLE milestream_private.rebuilds IS
    'Which read models are being rebuilt, and by whose session; one that ended holds nothing.';
COMMENT ON COLUMN milestream_private.rebuilds.read_model IS 'The read model.';
COMMENT ON COLUMN milestream_private.rebuilds.pid IS 'Process of the session at the server.';
COMMENT ON COLUMN milestream_private.rebuilds.backend_start IS 'When that session began.';

-- Not logged: after a crash of the server every caller has its whole allowance again.
CREATE UNLOGGED TABLE milestream_private.request_budgets (
    caller bytea PRIMARY KEY,
    left_over double precision NOT NULL,
    rate double precision NOT NULL,
    burst double precision NOT NULL,
    at timestamptz NOT NULL
);
COMMENT ON TABLE milestream_private.request_budgets IS
    'How many requests busy callers have left, over all API processes; forgotten after a minute.';
COMMENT ON COLUMN milestream_private.request_budgets.caller IS 'Hash of project and key or user.';
COMMENT ON COLUMN milestream_private.request_budgets.left_over IS
    'Requests that it had left then; below 0 where several processes let more pass.';
COMMENT ON COLUMN milestream_private.request_budgets.rate IS 'Requests that it gets a second.';
COMMENT ON COLUMN milestream_private.request_budgets.burst IS 'Requests that it can have at most.';
COMMENT ON COLUMN milestream_private.request_budgets.at IS 'When that was so.';
GRANT SELECT, INSERT, UPDATE, DELETE ON milestream_private.request_budgets TO milestream_api;

ALTER TABLE milestream_private.api_keys
    ADD COLUMN previous_secret_hash bytea,
    ADD COLUMN previous_signing_secret bytea,
    ADD COLUMN previous_until timestamptz,
    ADD CHECK ((previous_secret_hash IS NULL) = (previous_until IS NULL));
COMMENT ON COLUMN milestream_private.api_keys.previous_secret_hash IS
    'Hash of the secret before the last rotation.';
COMMENT ON COLUMN milestream_private.api_keys.previous_signing_secret IS
    'That secret, encrypted, where the key signs.';
COMMENT ON COLUMN milestream_private.api_keys.previous_until IS 'Until when that secret is good.';

ALTER TABLE milestream_private.jwt_keys
    ADD COLUMN previous_secret bytea,
    ADD COLUMN previous_until timestamptz,
    ADD CHECK ((previous_secret IS NULL) = (previous_until IS NULL));
COMMENT ON COLUMN milestream_private.jwt_keys.previous_secret IS
    'The HS256 secret before the last rotation, kept as the secret is.';
COMMENT ON COLUMN milestream_private.jwt_keys.previous_until IS 'Until when that secret is good.';

-- A session may change its own time limits: this one it cannot.
CREATE FUNCTION milestream_private.end_long_reads(longest interval) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = ''
    RETURN (
        SELECT count(pg_catalog.pg_terminate_backend(activity.pid))
        FROM pg_catalog.pg_stat_activity AS activity
        JOIN milestream_private.analyst_logins AS analyst ON analyst.login = activity.usename
        WHERE activity.datname = pg_catalog.current_database()
            AND activity.xact_start < pg_catalog.clock_timestamp() - longest
    );
COMMENT ON FUNCTION milestream_private.end_long_reads(interval) IS
    'Ends sessions of analysts whose transaction is older than this; returns how many.';
REVOKE EXECUTE ON FUNCTION milestream_private.end_long_reads(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milestream_private.end_long_reads(interval) TO milestream_projector;

CREATE FUNCTION milestream_private.bound_login(login name) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    EXECUTE format('ALTER ROLE %I CONNECTION LIMIT 5', login);
    EXECUTE format('ALTER ROLE %I SET search_path = milestream', login);
    EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', login);
    EXECUTE format('ALTER ROLE %I SET statement_timeout = ''60s''', login);
    EXECUTE format('ALTER ROLE %I SET lock_timeout = ''5s''', login);
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''60s''', login);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), login);
    -- Whoever is to end its sessions must have its rights, which are fewer.
    IF NOT pg_catalog.pg_has_role(current_user, login, 'USAGE') THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', login);
    END IF;
END
$$;
COMMENT ON FUNCTION milestream_private.bound_login(name) IS
    'Bounds what an analyst''s login takes: connections, time, locks.';
REVOKE EXECUTE ON FUNCTION milestream_private.bound_login(name) FROM PUBLIC;

DO $$
DECLARE
    known name;
BEGIN
    FOR known IN
        SELECT login FROM milestream_private.analyst_logins
        JOIN pg_catalog.pg_roles ON rolname = login
    LOOP
        BEGIN
            PERFORM milestream_private.bound_login(known);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'the login % is another owner''s: it stays without bounds', known;
        END;
    END LOOP;
    -- What nobody said that everybody may.
    IF EXISTS (
        SELECT FROM pg_catalog.pg_database
        WHERE datname = current_database() AND pg_catalog.pg_has_role(current_user, datdba, 'USAGE')
    ) THEN
        EXECUTE format(
            'GRANT CONNECT ON DATABASE %I TO milestream_api, milestream_projector',
            current_database());
        EXECUTE format(
            'GRANT TEMPORARY ON DATABASE %I TO milestream_projector', current_database());
        EXECUTE format(
            'REVOKE CONNECT ON DATABASE %I FROM milestream_project_analyst', current_database());
        EXECUTE format(
            'REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END
$$;

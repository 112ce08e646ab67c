-- Two schemas and two roles. `milestream` is what analysts read; `milestream_private` is for no
-- one but the owner.
CREATE SCHEMA milestream;
COMMENT ON SCHEMA milestream IS 'Read models: what happened, for analysts and the API.';
COMMENT ON SCHEMA milestream_private IS 'Credentials and bookkeeping: for the owner alone.';

-- Roles belong to the whole cluster: another database of it may have them, or be making them now.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['milestream_analyst', 'milestream_project_analyst'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made by another database's migration meanwhile
            END;
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), wanted);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA milestream TO milestream_analyst, milestream_project_analyst;

CREATE TABLE milestream_private.analyst_logins (
    login name PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE milestream_private.analyst_logins IS
    'Logins that see one project; made by `milestream analysts create`.';
COMMENT ON COLUMN milestream_private.analyst_logins.login IS 'Name of the role that logs in.';
COMMENT ON COLUMN milestream_private.analyst_logins.project IS 'The one project that it sees.';
COMMENT ON COLUMN milestream_private.analyst_logins.created_at IS 'When the login was made.';

-- By session_user, which SET ROLE does not change. Policies call it in a sub-select, so that it
-- runs once per query and not once per row.
CREATE FUNCTION milestream.analyst_project() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    RETURN (SELECT project FROM milestream_private.analyst_logins WHERE login = session_user);
COMMENT ON FUNCTION milestream.analyst_project() IS
    'The project of the login that asks; null, and so no rows, where it has none.';
REVOKE EXECUTE ON FUNCTION milestream.analyst_project() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milestream.analyst_project() TO milestream_project_analyst;

-- Who may read a table: the one place that says so, for migrations and for `milestream rebuild`.
CREATE FUNCTION milestream_private.protect(target regclass) RETURNS void
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
    EXECUTE format(
        'CREATE POLICY analyst ON %s FOR SELECT TO milestream_analyst USING (true)', target);
    EXECUTE format(
        'CREATE POLICY project_analyst ON %s FOR SELECT TO milestream_project_analyst USING (%s)',
        target, visible);
    EXECUTE format(
        'GRANT SELECT ON %s TO milestream_analyst, milestream_project_analyst', target);
END
$$;
COMMENT ON FUNCTION milestream_private.protect(regclass) IS
    'Lets analysts read a table: all of it, or the rows of their project.';
REVOKE EXECUTE ON FUNCTION milestream_private.protect(regclass) FROM PUBLIC;

CREATE TABLE milestream_private.api_keys (
    key_id text PRIMARY KEY,
    project text COLLATE "C" NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'producer', 'analyst')),
    secret_hash bytea NOT NULL,
    signing_secret bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON TABLE milestream_private.api_keys IS 'API keys; made by `milestream keys create`.';
COMMENT ON COLUMN milestream_private.api_keys.key_id IS 'The public half of the key.';
COMMENT ON COLUMN milestream_private.api_keys.project IS 'The project that the key belongs to.';
COMMENT ON COLUMN milestream_private.api_keys.role IS 'What it may do: admin, producer, analyst.';
COMMENT ON COLUMN milestream_private.api_keys.secret_hash IS 'Hash of the secret half.';
COMMENT ON COLUMN milestream_private.api_keys.signing_secret IS
    'The secret of a signing key, encrypted under the master key; null for other keys.';
COMMENT ON COLUMN milestream_private.api_keys.created_at IS 'When the key was made.';
COMMENT ON COLUMN milestream_private.api_keys.revoked_at IS
    'Since when it is refused; null while it is good.';

CREATE TABLE milestream_private.jwt_keys (
    project text COLLATE "C" PRIMARY KEY,
    algorithm text NOT NULL CHECK (algorithm IN ('HS256', 'RS256', 'ES256')),
    secret bytea,
    public_key text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((algorithm = 'HS256') = (secret IS NOT NULL)),
    CHECK ((algorithm = 'HS256') = (public_key IS NULL))
);
COMMENT ON TABLE milestream_private.jwt_keys IS
    'What the tokens of a project''s end users are checked with.';
COMMENT ON COLUMN milestream_private.jwt_keys.project IS 'The project; the tokens'' `aud`.';
COMMENT ON COLUMN milestream_private.jwt_keys.algorithm IS 'HS256, RS256 or ES256.';
COMMENT ON COLUMN milestream_private.jwt_keys.secret IS
    'The HS256 secret, encrypted under the master key where there is one.';
COMMENT ON COLUMN milestream_private.jwt_keys.public_key IS 'The public key as PEM.';
COMMENT ON COLUMN milestream_private.jwt_keys.created_at IS 'When the key was made.';

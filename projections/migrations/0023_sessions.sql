-- Links that open the dashboard once, and the browser sessions that they become.

CREATE TABLE milestream_private.login_links (
    link_hash bytea PRIMARY KEY,
    key_id text NOT NULL REFERENCES milestream_private.api_keys,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE milestream_private.login_links IS
    'Links to the dashboard that nobody has opened yet; made by `milestream keys link`.';
COMMENT ON COLUMN milestream_private.login_links.link_hash IS 'SHA-256 of the link''s token.';
COMMENT ON COLUMN milestream_private.login_links.key_id IS
    'The API key that whoever opens it acts as.';
COMMENT ON COLUMN milestream_private.login_links.expires_at IS 'Until when it can be opened.';

CREATE TABLE milestream_private.sessions (
    session_hash bytea PRIMARY KEY,
    key_id text NOT NULL REFERENCES milestream_private.api_keys,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE milestream_private.sessions IS
    'Browsers that are signed in to the dashboard. They end with their key.';
COMMENT ON COLUMN milestream_private.sessions.session_hash IS 'SHA-256 of the cookie''s value.';
COMMENT ON COLUMN milestream_private.sessions.key_id IS 'The API key that the browser acts as.';
COMMENT ON COLUMN milestream_private.sessions.expires_at IS 'Until when the session is good.';

GRANT SELECT, DELETE ON milestream_private.login_links TO milestream_api;
GRANT SELECT, INSERT, DELETE ON milestream_private.sessions TO milestream_api;

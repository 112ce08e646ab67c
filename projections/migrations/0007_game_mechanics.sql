-- What the game-mechanics face needs: used nonces, and the actions log in its own order.

CREATE TABLE milestream_private.used_nonces (
    key_id text COLLATE "C" NOT NULL,
    nonce text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX used_nonces_expires_at ON milestream_private.used_nonces (expires_at);
COMMENT ON TABLE milestream_private.used_nonces IS
    'Nonces of signed calls, so that none is taken twice; forgotten once their timestamps are stale.';
COMMENT ON COLUMN milestream_private.used_nonces.key_id IS 'The key that signed the call.';
COMMENT ON COLUMN milestream_private.used_nonces.nonce IS 'The nonce.';
COMMENT ON COLUMN milestream_private.used_nonces.expires_at IS
    'Until when a call with its timestamp could be good.';

-- A member's log is read from its newest entry on, and entries of one moment in a fixed order.
DROP INDEX milestream.points_ledger_member_id;
CREATE INDEX points_ledger_member_id
    ON milestream.points_ledger (member_id, occurred_at, sequence, id);

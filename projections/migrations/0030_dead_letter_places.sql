-- Where refused records lie on dead-letters: by that, one is sent back by itself.
ALTER TABLE milestream.dead_letters ADD COLUMN place bigint;
COMMENT ON COLUMN milestream.dead_letters.place IS
    'Place on dead-letters (partition times 2^48, plus offset); null: made before there were places.';

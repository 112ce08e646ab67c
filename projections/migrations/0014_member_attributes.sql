-- What a project says of its members in words of its own.
ALTER TABLE milestream.members ADD COLUMN attributes jsonb;
COMMENT ON COLUMN milestream.members.attributes IS
    'Attributes: an object of texts, numbers, booleans and lists of texts, by name; null where there are none.';

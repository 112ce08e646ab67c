-- A topic that is deleted and made anew has another id: what was read of the one before it says
-- nothing about it.
ALTER TABLE milestream.projection_checkpoints ADD COLUMN topic_id uuid;
COMMENT ON COLUMN milestream.projection_checkpoints.topic_id IS
    'The id that the Kafka cluster gave the topic; null where it was not read since ids are kept.';

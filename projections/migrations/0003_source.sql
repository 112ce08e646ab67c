-- Which topics the read models are made of: checkpoints say nothing about those of another cluster.
CREATE TABLE milestream_private.projection_source (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    cluster_id text NOT NULL,
    topic_prefix text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE milestream_private.projection_source IS
    'The Kafka cluster and the topics that the read models are made of; one row.';
COMMENT ON COLUMN milestream_private.projection_source.one IS 'Sees to it that there is one row.';
COMMENT ON COLUMN milestream_private.projection_source.cluster_id IS 'The Kafka cluster''s id.';
COMMENT ON COLUMN milestream_private.projection_source.topic_prefix IS
    'What stands before the names of the topics.';
COMMENT ON COLUMN milestream_private.projection_source.bound_at IS
    'When a projector began with them.';

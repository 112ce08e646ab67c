"""Read models: published events in, PostgreSQL tables out, offsets in the same transaction."""

"""The records face: `/schema/{slug}/record`."""

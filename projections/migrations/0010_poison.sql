-- A further reason why a record is refused.
COMMENT ON COLUMN milestream.dead_letters.reason IS
    'malformed, invalid, misplaced, unknown_challenge, unknown_member, unknown_event, unknown_pathway, unknown_activity, inactive, too_large or poison (it could not be folded).';

-- Further reasons why a record is refused.
COMMENT ON COLUMN milestream.dead_letters.reason IS
    'malformed, invalid, misplaced, unknown_challenge, unknown_member, unknown_event, unknown_pathway, unknown_activity, unknown_tier_set, unknown_tier, unknown_hold, hold_closed, too_many_holds, member_paused, inactive, too_large or poison (it could not be folded).';

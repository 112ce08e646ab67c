-- Who is forgotten, and a topic of members that keeps their last events alone.
COMMENT ON COLUMN milestream.members.first_place IS
    'Place on member-events (partition times 2^48, plus offset) of the first output about the member; null: made before there were places; -1: the topic has that output no more.';
COMMENT ON TABLE milestream.members IS
    'Members: the newest state of each, with its personal fields; who is forgotten has no row.';
COMMENT ON TABLE milestream.pathway_profiles IS
    'How the pathway-logs face shows each member, and what it finds them by; who is forgotten has no row.';
COMMENT ON COLUMN milestream.event_log.ip IS
    'Address that it came from; null where it is not known, or its member was forgotten.';
COMMENT ON COLUMN milestream.points_ledger.ip IS
    'Address that the event came from; null where it is not known, or its member was forgotten.';

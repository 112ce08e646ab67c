-- Boosts and tiers: what multiplies points, and what members rise to.

CREATE TABLE milestream.boosts (
    project text COLLATE "C" NOT NULL,
    boost_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    multiplier numeric NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    event_ids text[],
    wallets text[],
    stacking text NOT NULL,
    max_bonus numeric,
    status text NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, boost_id)
);
COMMENT ON TABLE milestream.boosts IS 'The boosts in force: what multiplies the points of events.';
COMMENT ON COLUMN milestream.boosts.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.boosts.boost_id IS 'The boost''s id.';
COMMENT ON COLUMN milestream.boosts.name IS 'Its name.';
COMMENT ON COLUMN milestream.boosts.multiplier IS 'What it multiplies points by.';
COMMENT ON COLUMN milestream.boosts.starts_at IS 'The first moment of events that it acts on.';
COMMENT ON COLUMN milestream.boosts.ends_at IS 'The first moment after them; null: it has no end.';
COMMENT ON COLUMN milestream.boosts.event_ids IS 'The events that it acts on; null: all.';
COMMENT ON COLUMN milestream.boosts.wallets IS
    'The challenge groups whose points it acts on; null: all.';
COMMENT ON COLUMN milestream.boosts.stacking IS
    'multiply, add or highest: how it acts beside others.';
COMMENT ON COLUMN milestream.boosts.max_bonus IS
    'The most that it adds to a grant; null: no bound.';
COMMENT ON COLUMN milestream.boosts.status IS 'draft, live or paused; only a live one acts.';
COMMENT ON COLUMN milestream.boosts.definition IS 'The whole definition.';
COMMENT ON COLUMN milestream.boosts.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.boosts.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.boosts.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.boosts');

CREATE TABLE milestream.tier_sets (
    project text COLLATE "C" NOT NULL,
    tier_set_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    wallets text[],
    basis_type text NOT NULL,
    basis_wallet text,
    basis_challenge_id uuid,
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, tier_set_id)
);
COMMENT ON TABLE milestream.tier_sets IS 'The tier sets in force.';
COMMENT ON COLUMN milestream.tier_sets.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.tier_sets.tier_set_id IS 'The set''s id.';
COMMENT ON COLUMN milestream.tier_sets.name IS 'Its name.';
COMMENT ON COLUMN milestream.tier_sets.wallets IS
    'The challenge groups whose points its multipliers act on; null: that of its basis, or all.';
COMMENT ON COLUMN milestream.tier_sets.basis_type IS
    'earned, balance or progress: what tiers are judged by.';
COMMENT ON COLUMN milestream.tier_sets.basis_wallet IS
    'The challenge group that is earned in, or whose balance it is; null: all.';
COMMENT ON COLUMN milestream.tier_sets.basis_challenge_id IS
    'The challenge whose progress it is; null: none.';
COMMENT ON COLUMN milestream.tier_sets.definition IS
    'The whole definition, its tiers and window included.';
COMMENT ON COLUMN milestream.tier_sets.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.tier_sets.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.tier_sets.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.tier_sets');

CREATE TABLE milestream.member_tiers (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    tier_set_id text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    tier_id text,
    since timestamptz NOT NULL,
    until timestamptz,
    assigned boolean NOT NULL,
    basis_value numeric NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, tier_set_id)
) WITH (fillfactor = 85);
CREATE INDEX member_tiers_member_id ON milestream.member_tiers (member_id);
COMMENT ON TABLE milestream.member_tiers IS 'Each member''s tier in each set. Who was never judged has no row.';
COMMENT ON COLUMN milestream.member_tiers.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.member_tiers.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.member_tiers.tier_set_id IS 'The set.';
COMMENT ON COLUMN milestream.member_tiers.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.member_tiers.tier_id IS 'The tier; null: none.';
COMMENT ON COLUMN milestream.member_tiers.since IS 'When the member came to that tier.';
COMMENT ON COLUMN milestream.member_tiers.until IS
    'Until when it is assigned; null: it is not, or without an end.';
COMMENT ON COLUMN milestream.member_tiers.assigned IS
    'Whether it was assigned by hand, and still is.';
COMMENT ON COLUMN milestream.member_tiers.basis_value IS
    'What it was judged by when it last changed.';
COMMENT ON COLUMN milestream.member_tiers.updated_at IS 'When it last changed.';
COMMENT ON COLUMN milestream.member_tiers.version IS 'Counts the changes, from 1.';
COMMENT ON COLUMN milestream.member_tiers.definition_version IS
    'Version of the set that it was judged under.';
COMMENT ON COLUMN milestream.member_tiers.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.member_tiers');

CREATE TABLE milestream.tier_history (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    tier_set_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    user_id text NOT NULL,
    from_tier_id text,
    tier_id text,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    assigned boolean NOT NULL,
    assigned_because text,
    basis_value numeric NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    definition_version bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, tier_set_id, version)
);
CREATE INDEX tier_history_member_id ON milestream.tier_history (member_id);
COMMENT ON TABLE milestream.tier_history IS 'Every change of a member''s tier in a set.';
COMMENT ON COLUMN milestream.tier_history.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.tier_history.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.tier_history.tier_set_id IS 'The set.';
COMMENT ON COLUMN milestream.tier_history.version IS 'Counts the changes, from 1.';
COMMENT ON COLUMN milestream.tier_history.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.tier_history.from_tier_id IS
    'The tier before; null: none, or never judged.';
COMMENT ON COLUMN milestream.tier_history.tier_id IS 'The tier afterwards; null: none.';
COMMENT ON COLUMN milestream.tier_history.reason IS
    'earned (a record moved the basis), window (time did), assigned or definition.';
COMMENT ON COLUMN milestream.tier_history.since IS 'When the member came to that tier.';
COMMENT ON COLUMN milestream.tier_history.until IS
    'Until when it is assigned; null: it is not, or without an end.';
COMMENT ON COLUMN milestream.tier_history.assigned IS 'Whether it is assigned by hand.';
COMMENT ON COLUMN milestream.tier_history.assigned_because IS
    'What the command that assigned it, or ended that, said why; null where none did.';
COMMENT ON COLUMN milestream.tier_history.basis_value IS 'What it was judged by.';
COMMENT ON COLUMN milestream.tier_history.occurred_at IS 'When it changed.';
COMMENT ON COLUMN milestream.tier_history.created_at IS
    'Timestamp of the record that was folded then.';
COMMENT ON COLUMN milestream.tier_history.definition_version IS
    'Version of the set that it was judged under.';
COMMENT ON COLUMN milestream.tier_history.sequence IS
    'Place of the input that led to this row, in its partition''s order.';
SELECT milestream_private.protect('milestream.tier_history');

ALTER TABLE milestream.points_ledger
    ADD COLUMN base numeric,
    ADD COLUMN bonus numeric,
    ADD COLUMN boosts text[],
    ADD COLUMN tier jsonb;
COMMENT ON COLUMN milestream.points_ledger.base IS
    'Points of the event without tiers and boosts; null where none acted.';
COMMENT ON COLUMN milestream.points_ledger.bonus IS
    'What tiers and boosts made of them: points less base; null where none acted.';
COMMENT ON COLUMN milestream.points_ledger.boosts IS
    'The boosts that acted, in their order; null where neither tier nor boost did.';
COMMENT ON COLUMN milestream.points_ledger.tier IS
    'The member''s tier in each set that acted, by the set; null where none did.';

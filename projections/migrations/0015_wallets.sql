-- Points that are spent, held and adjusted, and wallets, whose points wait, lapse and have caps.

-- What is said of an adjustment, or of an assigned tier, may name people, and a member's attributes are
-- personal: the planner keeps no statistics of them, whose estimates tell about other projects' values.
CREATE OR REPLACE FUNCTION milestream_private.hide_statistics(target regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    hidden record;
BEGIN
    FOR hidden IN
        SELECT attname, relname, relnamespace::regnamespace::text AS schema
        FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
        WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
            AND attname IN ('external_id', 'user_id', 'first_name', 'last_name', 'email',
                'phone_number', 'telephone', 'city', 'coupon_code', 'ip', 'metadata', 'reason',
                'actor', 'attributes', 'assigned_because')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', target, hidden.attname);
        IF to_regprocedure('pg_catalog.pg_clear_attribute_stats(text, text, text, boolean)')
            IS NOT NULL
        THEN
            EXECUTE format('SELECT pg_catalog.pg_clear_attribute_stats(%L, %L, %L, false)',
                hidden.schema, hidden.relname, hidden.attname);
        END IF;
    END LOOP;
END
$$;
SELECT milestream_private.hide_statistics('milestream.members');

ALTER TABLE milestream.points_ledger
    ADD COLUMN cut numeric NOT NULL DEFAULT 0,
    ADD COLUMN cut_by text,
    ADD COLUMN unique_identifier text,
    ADD COLUMN hold_identifier text,
    ADD COLUMN reason text,
    ADD COLUMN actor text;
SELECT milestream_private.hide_statistics('milestream.points_ledger');
COMMENT ON TABLE milestream.points_ledger IS 'Every grant, and everything that took points.';
COMMENT ON COLUMN milestream.points_ledger.action_id IS
    'The event, challenge:<id>, milestone:<id>, redeem, spend, capture, adjust or expire.';
COMMENT ON COLUMN milestream.points_ledger.points IS
    'Points, signed; a whole number, 0 only where a cap took all of a grant. A redemption is written in full.';
COMMENT ON COLUMN milestream.points_ledger.operation IS
    'grant, redeem, spend, capture, adjust or expire.';
COMMENT ON COLUMN milestream.points_ledger.occurred_at IS
    'When the member did what gave the points, or when they were taken.';
COMMENT ON COLUMN milestream.points_ledger.source_id IS
    'What led to it: the id of an event log, a progress, a reward log or a command.';
COMMENT ON COLUMN milestream.points_ledger.cut IS
    'Points of the grant that a cap of the wallet took away; they are not in points.';
COMMENT ON COLUMN milestream.points_ledger.cut_by IS
    'The cap that was the last to cut: earnCap or maxBalance; null where none did.';
COMMENT ON COLUMN milestream.points_ledger.unique_identifier IS
    'That of the command that moved the points; null where none did.';
COMMENT ON COLUMN milestream.points_ledger.hold_identifier IS
    'The hold that was captured; null where none was.';
COMMENT ON COLUMN milestream.points_ledger.reason IS 'What the command said why; null where nothing.';
COMMENT ON COLUMN milestream.points_ledger.actor IS
    'Who made an adjustment, as the command has it; null where it does not say.';

ALTER TABLE milestream.points_balances
    ADD COLUMN held numeric NOT NULL DEFAULT 0,
    ADD COLUMN pending numeric NOT NULL DEFAULT 0,
    ADD COLUMN available numeric GENERATED ALWAYS AS (balance - held) STORED;
COMMENT ON COLUMN milestream.points_balances.balance IS
    'Points that count, those held among them; never below 0.';
COMMENT ON COLUMN milestream.points_balances.held IS 'Those of the balance that holds reserve.';
COMMENT ON COLUMN milestream.points_balances.pending IS
    'Points that were granted and do not count yet; in no balance.';
COMMENT ON COLUMN milestream.points_balances.available IS
    'Points to spend: the balance without those held; never below 0.';
COMMENT ON COLUMN milestream.points_totals.balance IS
    'Points that count, those held among them; never below 0.';

CREATE TABLE milestream.points_holds (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    hold_identifier text COLLATE "C" NOT NULL,
    user_id text NOT NULL,
    challenge_group text COLLATE "C" NOT NULL,
    points numeric NOT NULL,
    captured numeric NOT NULL,
    status text NOT NULL,
    until timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, hold_identifier)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.points_holds IS
    'Points that were reserved: every hold, open or closed.';
COMMENT ON COLUMN milestream.points_holds.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_holds.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_holds.hold_identifier IS
    'The uniqueIdentifier of the command that made it; unique within its member.';
COMMENT ON COLUMN milestream.points_holds.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.points_holds.challenge_group IS 'The group whose points it reserves.';
COMMENT ON COLUMN milestream.points_holds.points IS 'Points that it reserved when it was made.';
COMMENT ON COLUMN milestream.points_holds.captured IS
    'Those of them that were spent; 0 while it is open.';
COMMENT ON COLUMN milestream.points_holds.status IS 'open, captured, released or lapsed.';
COMMENT ON COLUMN milestream.points_holds.until IS
    'When it lapses, unless it is captured or released before.';
COMMENT ON COLUMN milestream.points_holds.opened_at IS 'When it was made.';
COMMENT ON COLUMN milestream.points_holds.closed_at IS
    'When it was captured or released, or lapsed; null while it is open.';
COMMENT ON COLUMN milestream.points_holds.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.points_holds');

CREATE TABLE milestream.points_lots (
    project text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    challenge_group text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    user_id text NOT NULL,
    points numeric NOT NULL,
    activates_at timestamptz,
    expires_at timestamptz,
    sequence bigint NOT NULL,
    PRIMARY KEY (project, member_id, challenge_group, id)
) WITH (fillfactor = 85);
COMMENT ON TABLE milestream.points_lots IS
    'The points of wallets that are left, by when they begin to count and when they lapse. Their sum is balance and pending.';
COMMENT ON COLUMN milestream.points_lots.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_lots.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.points_lots.challenge_group IS 'The wallet: its group of points.';
COMMENT ON COLUMN milestream.points_lots.id IS 'The lot''s id; of its member, group and days.';
COMMENT ON COLUMN milestream.points_lots.user_id IS 'The member''s external id.';
COMMENT ON COLUMN milestream.points_lots.points IS
    'Points that are left, those held among them; above 0.';
COMMENT ON COLUMN milestream.points_lots.activates_at IS
    'When they begin to count; null once they do.';
COMMENT ON COLUMN milestream.points_lots.expires_at IS 'When they lapse; null: never.';
COMMENT ON COLUMN milestream.points_lots.sequence IS
    'Place of the input that led to this row, in its partition''s order; an older one never overwrites a newer.';
SELECT milestream_private.protect('milestream.points_lots');

CREATE TABLE milestream.projects (
    project text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text,
    timezone text NOT NULL,
    member_spend boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
COMMENT ON TABLE milestream.projects IS
    'The projects'' settings in force; a project without any has no row.';
COMMENT ON COLUMN milestream.projects.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.projects.id IS 'The project once more: the id of its definition.';
COMMENT ON COLUMN milestream.projects.name IS 'Name.';
COMMENT ON COLUMN milestream.projects.timezone IS
    'Time zone of the IANA database where nothing nearer has one.';
COMMENT ON COLUMN milestream.projects.member_spend IS
    'Whether end users may spend and hold their points themselves.';
COMMENT ON COLUMN milestream.projects.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.projects.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.projects.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.projects');

CREATE TABLE milestream.wallets (
    project text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    expiry jsonb NOT NULL,
    pending_for text,
    max_balance numeric,
    earn_cap jsonb,
    notice_days integer[] NOT NULL,
    timezone text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, id)
);
COMMENT ON TABLE milestream.wallets IS
    'The wallets in force: how the points of a group wait, lapse and are capped.';
COMMENT ON COLUMN milestream.wallets.project IS 'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.wallets.id IS 'The challenge group whose points it rules.';
COMMENT ON COLUMN milestream.wallets.name IS 'Name.';
COMMENT ON COLUMN milestream.wallets.expiry IS
    'When points lapse: type (none, rolling, calendar, sliding), after, dates.';
COMMENT ON COLUMN milestream.wallets.pending_for IS
    'How long points wait until they count, as ISO 8601; null: not at all.';
COMMENT ON COLUMN milestream.wallets.max_balance IS
    'What balance and pending points may come to; null: anything.';
COMMENT ON COLUMN milestream.wallets.earn_cap IS
    'How many points (points) each period (period) may give; null: any number.';
COMMENT ON COLUMN milestream.wallets.notice_days IS
    'How many days before points lapse points.expiring says so.';
COMMENT ON COLUMN milestream.wallets.timezone IS 'Time zone of its days; null: the project''s.';
COMMENT ON COLUMN milestream.wallets.created_at IS 'When the definition was first written.';
COMMENT ON COLUMN milestream.wallets.updated_at IS 'When it was last written.';
COMMENT ON COLUMN milestream.wallets.version IS
    'Its version: the offset of its record in `definitions`.';
SELECT milestream_private.protect('milestream.wallets');

-- Who sees which rows of a view is what the tables' rules say.
CREATE VIEW milestream.points_expiry_forecast WITH (security_invoker = true) AS
SELECT
    lot.project,
    lot.challenge_group,
    ((lot.expires_at - interval '1 microsecond') AT TIME ZONE CASE
        WHEN coalesce(wallet.timezone, settings.timezone) = 'member'
            THEN coalesce(member.timezone, nullif(settings.timezone, 'member'), 'UTC')
        ELSE coalesce(wallet.timezone, settings.timezone, 'UTC')
    END)::date AS day,
    sum(lot.points) AS points,
    count(DISTINCT lot.member_id) AS members
FROM milestream.points_lots AS lot
LEFT JOIN milestream.wallets AS wallet
    ON wallet.project = lot.project AND wallet.id = lot.challenge_group
LEFT JOIN milestream.projects AS settings
    ON settings.project = lot.project AND settings.id = lot.project
LEFT JOIN milestream.members AS member
    ON member.project = lot.project AND member.member_id = lot.member_id
WHERE lot.expires_at IS NOT NULL
GROUP BY 1, 2, 3;
COMMENT ON VIEW milestream.points_expiry_forecast IS
    'How many points of a wallet lapse when, those pending and held among them, as things stand.';
COMMENT ON COLUMN milestream.points_expiry_forecast.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_expiry_forecast.challenge_group IS
    'The wallet: its group of points.';
COMMENT ON COLUMN milestream.points_expiry_forecast.day IS
    'The last day on which they can be spent, in the wallet''s time zone.';
COMMENT ON COLUMN milestream.points_expiry_forecast.points IS 'How many points.';
COMMENT ON COLUMN milestream.points_expiry_forecast.members IS 'How many members have them.';

CREATE VIEW milestream.points_liability WITH (security_invoker = true) AS
SELECT
    project,
    challenge_group,
    sum(balance) AS balance,
    sum(held) AS held,
    sum(pending) AS pending,
    count(*) AS members
FROM milestream.points_balances
WHERE balance > 0 OR pending > 0
GROUP BY 1, 2;
COMMENT ON VIEW milestream.points_liability IS 'What all members of a project have, by group of points.';
COMMENT ON COLUMN milestream.points_liability.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.points_liability.challenge_group IS 'The group.';
COMMENT ON COLUMN milestream.points_liability.balance IS
    'Points that count, those held among them.';
COMMENT ON COLUMN milestream.points_liability.held IS 'Those of them that holds reserve.';
COMMENT ON COLUMN milestream.points_liability.pending IS
    'Points that were granted and do not count yet.';
COMMENT ON COLUMN milestream.points_liability.members IS 'How many members have any.';

GRANT SELECT ON milestream.points_expiry_forecast, milestream.points_liability
    TO milestream_analyst, milestream_project_analyst, milestream_api;

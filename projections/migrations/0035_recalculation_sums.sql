-- What a recalculation changes by definition is added up once, when that is known: whoever looks at
-- it reads a few hundred sums, not a change for each member and period.
ALTER TABLE milestream.recalculations ADD COLUMN sums jsonb;
COMMENT ON COLUMN milestream.recalculations.sums IS
    'What changes by definition, a list of {kind, id, members, points, before, after} as in recalculation_changes, with how many members have such a row and what the rows add up to; null: not added up, for not all of history was looked at, or before there was this column its changes were forgotten or were none.';

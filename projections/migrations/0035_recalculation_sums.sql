-- What a recalculation changes by definition is added up once, when that is known: whoever looks at
-- it reads a few hundred sums, not a change for each member and period.
ALTER TABLE milestream.recalculations ADD COLUMN sums jsonb;
COMMENT ON COLUMN milestream.recalculations.sums IS
    'What changes by definition, a list of {kind, id, members, points, before, after} as in recalculation_changes, with how many members have such a row and what the rows add up to; null: not all of history was looked at yet.';

UPDATE milestream.recalculations SET sums = (
    SELECT coalesce(jsonb_agg(each ORDER BY each.kind, each.id), '[]') FROM (
        SELECT kind, change.id, count(DISTINCT member_id) AS members, sum(points) AS points,
            sum(before) AS before, sum(after) AS after
        FROM milestream.recalculation_changes AS change
        WHERE recalculation_id = recalculations.id GROUP BY kind, change.id
    ) AS each
);

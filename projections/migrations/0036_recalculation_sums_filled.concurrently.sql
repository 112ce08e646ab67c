-- What ended before there were sums is added up: by itself, so that recalculations are read and
-- written while all changes are looked at. Those of one that runs, was cancelled or failed are a part
-- of what it would have changed; of a report that is old they are forgotten.
UPDATE milestream.recalculations SET sums = (
    SELECT jsonb_agg(each ORDER BY each.kind, each.id) FROM (
        SELECT kind, change.id, count(DISTINCT member_id) AS members, sum(points) AS points,
            sum(before) AS before, sum(after) AS after
        FROM milestream.recalculation_changes AS change
        WHERE recalculation_id = recalculations.id GROUP BY kind, change.id
    ) AS each
)
WHERE sums IS NULL AND status IN ('reported', 'applied', 'refused');

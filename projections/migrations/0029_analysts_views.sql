-- Answers to the usual questions of analysts. Who sees which rows is what the tables' rules say.

CREATE VIEW milestream.progress_funnel WITH (security_invoker = true) AS
SELECT
    period.project,
    period.challenge_id,
    challenge.name AS challenge_name,
    period.period_key,
    row_number() OVER (
        PARTITION BY period.project, period.challenge_id, period.period_key
        ORDER BY step.target, step.place, step.milestone_id
    )::integer AS step,
    step.kind,
    step.milestone_id,
    step.milestone_name,
    step.target,
    coalesce(step.members, reached.members, 0) AS members,
    round(coalesce(step.members, reached.members, 0)::numeric / nullif(period.started, 0), 4)
        AS share
FROM (
    SELECT
        project,
        challenge_id,
        period_key,
        count(*) FILTER (WHERE current_progress_value > 0) AS started,
        count(*) FILTER (WHERE status = 'completed') AS completed
    FROM milestream.challenge_progress
    GROUP BY 1, 2, 3
) AS period
LEFT JOIN milestream.challenges AS challenge
    ON challenge.project = period.project AND challenge.id = period.challenge_id
CROSS JOIN LATERAL (
    SELECT 1, 'started', NULL::uuid, NULL::text, 0::numeric, period.started
    UNION ALL
    SELECT 2, 'milestone', id, name, milestone_target_value, NULL
    FROM milestream.milestones
    WHERE project = period.project AND linked_schema_slug = 'challenge'
        AND linked_schema_record_id = period.challenge_id::text
    UNION ALL
    SELECT 3, 'completed', NULL, NULL, challenge.completion_target_value, period.completed
) AS step (place, kind, milestone_id, milestone_name, target, members)
LEFT JOIN (
    SELECT project, linked_schema_record_id, milestone_id, period_key, count(*) AS members
    FROM milestream.reward_logs
    WHERE linked_schema_slug = 'challenge' AND revoked_at IS NULL
    GROUP BY 1, 2, 3, 4
) AS reached
    ON reached.project = period.project
    AND reached.linked_schema_record_id = period.challenge_id::text
    AND reached.milestone_id = step.milestone_id
    AND reached.period_key = period.period_key;
COMMENT ON VIEW milestream.progress_funnel IS
    'How many members began a challenge in a period, reached each of its milestones in force, and completed it.';
COMMENT ON COLUMN milestream.progress_funnel.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.progress_funnel.challenge_id IS 'The challenge.';
COMMENT ON COLUMN milestream.progress_funnel.challenge_name IS 'Its name; null: it is deleted.';
COMMENT ON COLUMN milestream.progress_funnel.period_key IS
    'The period: 2026-11-21, 2026-W47, 2026-11, 2026 or all.';
COMMENT ON COLUMN milestream.progress_funnel.step IS 'Place in the funnel by rising target, from 1.';
COMMENT ON COLUMN milestream.progress_funnel.kind IS 'started, milestone or completed.';
COMMENT ON COLUMN milestream.progress_funnel.milestone_id IS
    'The milestone; null for the other steps.';
COMMENT ON COLUMN milestream.progress_funnel.milestone_name IS
    'Its name; null for the other steps.';
COMMENT ON COLUMN milestream.progress_funnel.target IS
    'Progress that the step asks for, as the definition in force has it; null: it is deleted.';
COMMENT ON COLUMN milestream.progress_funnel.members IS
    'Members with progress above 0; whose reward of the milestone was not revoked; who completed it.';
COMMENT ON COLUMN milestream.progress_funnel.share IS
    'The members by those that started; above 1 where some reached the step and are at 0 again, null where nobody started.';

CREATE VIEW milestream.member_active_days WITH (security_invoker = true) AS
SELECT known.project, known.member_id, known.month + bit AS day
FROM milestream.event_user_days AS known CROSS JOIN generate_series(0, 30) AS bit
WHERE known.event_id = '' AND known.days & (1 << bit) <> 0
UNION
SELECT project, member_id, (activity_at AT TIME ZONE timezone)::date
FROM milestream.challenge_logs
WHERE progress_id IS NOT NULL AND voided_portion < 1;
COMMENT ON VIEW milestream.member_active_days IS
    'On which days a member was active: sent an event, or a challenge log that counted, and that was not wholly voided.';
COMMENT ON COLUMN milestream.member_active_days.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.member_active_days.member_id IS
    'The member; uuid5 of project and external id.';
COMMENT ON COLUMN milestream.member_active_days.day IS
    'The day, in the time zone of the event or of the progress.';

-- A member is among those of the last 7 days from a day of activity on, until the next one, or 7
-- days have gone by. What begins and ends on each day adds up in one pass.
CREATE VIEW milestream.daily_actives WITH (security_invoker = true) AS
SELECT project, day, members, new_members, members_7d, members_30d
FROM (
    SELECT
        active.project,
        move.day,
        sum(move.members)::bigint AS members,
        sum(move.new_members)::bigint AS new_members,
        (sum(sum(move.week)) OVER so_far)::bigint AS members_7d,
        (sum(sum(move.month)) OVER so_far)::bigint AS members_30d
    FROM (
        SELECT
            project,
            day,
            lag(day) OVER of_member IS NULL AS is_first,
            lead(day) OVER of_member AS next_day
        FROM milestream.member_active_days
        WINDOW of_member AS (PARTITION BY project, member_id ORDER BY day)
    ) AS active
    CROSS JOIN LATERAL (
        VALUES
            (active.day, 1, active.is_first::integer, 1, 1),
            (least(active.day + 7, active.next_day), 0, 0, -1, 0),
            (least(active.day + 30, active.next_day), 0, 0, 0, -1)
    ) AS move (day, members, new_members, week, month)
    GROUP BY active.project, move.day
    WINDOW so_far AS (PARTITION BY active.project ORDER BY move.day)
) AS counted
WHERE members > 0;
COMMENT ON VIEW milestream.daily_actives IS
    'How many members were active on a day, and in the 7 and 30 days that end with it; a day without any has no row.';
COMMENT ON COLUMN milestream.daily_actives.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.daily_actives.day IS
    'The day, in the time zone of the event or of the progress.';
COMMENT ON COLUMN milestream.daily_actives.members IS 'Members who were active on the day.';
COMMENT ON COLUMN milestream.daily_actives.new_members IS
    'Those of them who had never been active before.';
COMMENT ON COLUMN milestream.daily_actives.members_7d IS
    'Members who were active on it or in the 6 days before.';
COMMENT ON COLUMN milestream.daily_actives.members_30d IS
    'Members who were active on it or in the 29 days before.';

CREATE VIEW milestream.retention_by_cohort WITH (security_invoker = true) AS
SELECT
    project,
    period,
    cohort,
    later,
    first_value(count(*)) OVER (PARTITION BY project, period, cohort ORDER BY later)
        AS cohort_members,
    count(*) AS members,
    round(count(*)::numeric / first_value(count(*))
        OVER (PARTITION BY project, period, cohort ORDER BY later), 4) AS share
FROM (
    SELECT DISTINCT
        active.project,
        active.member_id,
        kind.period,
        date_trunc(kind.unit, active.first_day::timestamp)::date AS cohort,
        CASE kind.unit
            WHEN 'week' THEN (date_trunc('week', active.day::timestamp)::date
                - date_trunc('week', active.first_day::timestamp)::date) / 7
            ELSE 12 * (extract(year FROM active.day) - extract(year FROM active.first_day))
                + extract(month FROM active.day) - extract(month FROM active.first_day)
        END::integer AS later
    FROM (
        SELECT
            project,
            member_id,
            day,
            min(day) OVER (PARTITION BY project, member_id) AS first_day
        FROM milestream.member_active_days
    ) AS active
    CROSS JOIN (VALUES ('weekly', 'week'), ('monthly', 'month')) AS kind (period, unit)
) AS came
GROUP BY project, period, cohort, later;
COMMENT ON VIEW milestream.retention_by_cohort IS
    'How many of the members who were first active in the same week, or month, were active so many weeks or months later.';
COMMENT ON COLUMN milestream.retention_by_cohort.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.retention_by_cohort.period IS
    'weekly or monthly: a query is about one of them.';
COMMENT ON COLUMN milestream.retention_by_cohort.cohort IS
    'The Monday, or the first day of the month, of the members'' first activity.';
COMMENT ON COLUMN milestream.retention_by_cohort.later IS
    'How many weeks or months later; 0: the first one. Where nobody came there is no row.';
COMMENT ON COLUMN milestream.retention_by_cohort.cohort_members IS 'Members of the cohort.';
COMMENT ON COLUMN milestream.retention_by_cohort.members IS 'Those of them who were active then.';
COMMENT ON COLUMN milestream.retention_by_cohort.share IS 'Their share of the cohort, 0 to 1.';

CREATE VIEW milestream.cost_per_reward WITH (security_invoker = true) AS
SELECT
    reward.project,
    reward.milestone_id,
    milestone.name AS milestone_name,
    reward.linked_schema_slug,
    reward.linked_schema_record_id,
    date_trunc('month', reward.created_at AT TIME ZONE 'UTC')::date AS month,
    count(*) FILTER (WHERE reward.revoked_at IS NULL) AS rewards,
    count(*) FILTER (WHERE reward.revoked_at IS NULL AND reward.reward_issued_at IS NOT NULL)
        AS issued,
    count(*) FILTER (WHERE reward.revoked_at IS NOT NULL) AS revoked,
    coalesce(sum(cost.points), 0) AS points,
    round(coalesce(sum(cost.points), 0)
        / nullif(count(*) FILTER (WHERE reward.revoked_at IS NULL), 0), 2) AS points_per_reward
FROM milestream.reward_logs AS reward
LEFT JOIN milestream.milestones AS milestone
    ON milestone.project = reward.project AND milestone.id = reward.milestone_id
LEFT JOIN (
    SELECT entry.project, entry.source_id, sum(entry.points + coalesce(back.points, 0)) AS points
    FROM milestream.points_ledger AS entry
    LEFT JOIN (
        SELECT project, reversed_entry_id, sum(points) AS points
        FROM milestream.points_ledger
        WHERE reversed_entry_id IS NOT NULL
        GROUP BY 1, 2
    ) AS back
        ON back.project = entry.project AND back.reversed_entry_id = entry.id
    WHERE entry.operation = 'grant' AND entry.action_id LIKE 'milestone:%'
    GROUP BY 1, 2
) AS cost
    ON cost.project = reward.project AND cost.source_id = reward.id::text
GROUP BY 1, 2, 3, 4, 5, 6;
COMMENT ON VIEW milestream.cost_per_reward IS
    'How many rewards a milestone gave in a month, and what points they cost. What a coupon costs is not known here.';
COMMENT ON COLUMN milestream.cost_per_reward.project IS
    'The project (tenant) that the row belongs to.';
COMMENT ON COLUMN milestream.cost_per_reward.milestone_id IS 'The milestone.';
COMMENT ON COLUMN milestream.cost_per_reward.milestone_name IS 'Its name; null: it is deleted.';
COMMENT ON COLUMN milestream.cost_per_reward.linked_schema_slug IS
    'What the milestone belonged to: challenge, streak or pathway.';
COMMENT ON COLUMN milestream.cost_per_reward.linked_schema_record_id IS
    'The id of that challenge, streak or pathway.';
COMMENT ON COLUMN milestream.cost_per_reward.month IS
    'The first day of the month (UTC) in which the rewards were first granted.';
COMMENT ON COLUMN milestream.cost_per_reward.rewards IS
    'Rewards that were granted and not revoked.';
COMMENT ON COLUMN milestream.cost_per_reward.issued IS 'Those of them that were issued.';
COMMENT ON COLUMN milestream.cost_per_reward.revoked IS 'Rewards that were revoked.';
COMMENT ON COLUMN milestream.cost_per_reward.points IS
    'Points that all of them gave, the revoked ones too, less what of it was recovered.';
COMMENT ON COLUMN milestream.cost_per_reward.points_per_reward IS
    'Points for each reward that was not revoked; null where there is none.';

GRANT SELECT ON milestream.progress_funnel, milestream.member_active_days, milestream.daily_actives,
    milestream.retention_by_cohort, milestream.cost_per_reward
    TO milestream_analyst, milestream_project_analyst, milestream_api;

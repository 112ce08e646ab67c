"""Pathways: how many members are enrolled, and how many completed each activity."""

from typing import LiteralString

from psycopg import AsyncConnection

from api.queries.dashboard.samples import Rows, rows

PATHWAYS = 50
ACTIVITIES = 200

# Not the view of activities: it would open every definition for one pathway's.
_PATHWAYS: LiteralString = """
SELECT p.id, p.name, coalesce(enrolled.members, 0) AS enrolled, along.activities
FROM (
    SELECT * FROM milestream.pathways
    WHERE project = %(project)s ORDER BY name, id LIMIT %(pathways)s
) AS p
LEFT JOIN milestream.pathway_stats AS enrolled
    ON enrolled.project = p.project AND enrolled.pathway_id = p.id AND enrolled.activity_id = ''
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.fields ->> 'id',
        'name', a.fields ->> 'name', 'type', a.fields ->> 'type',
        'level', (a.fields ->> 'level')::int, 'required', (a.fields ->> 'required')::boolean,
        'completed', coalesce(done.members, 0)) ORDER BY a.place), '[]') AS activities
    FROM (
        SELECT * FROM jsonb_array_elements(p.definition -> 'activities')
            WITH ORDINALITY AS activity (fields, place)
        LIMIT %(activities)s
    ) AS a
    LEFT JOIN milestream.pathway_stats AS done ON done.project = p.project
        AND done.pathway_id = p.id AND done.activity_id = a.fields ->> 'id' COLLATE "C"
) AS along
ORDER BY p.name, p.id
"""


async def pathways(connection: AsyncConnection, project: str) -> Rows:
    """Return the pathways in force, by name, with their first activities."""
    given = {"project": project, "pathways": PATHWAYS, "activities": ACTIVITIES}
    return await rows(connection, _PATHWAYS, **given)

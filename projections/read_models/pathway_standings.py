"""``pathway_standings``: who is enrolled and who completed what; ``pathway_stats`` from it.

Enrolments and completions lie in one table, so that the counts can be kept from it alone, whatever
comes first, and be built anew with it. What is completed stays completed, but for voids;
enrolments come and go, and the member's completions with them.
"""

from collections.abc import Iterable

import msgspec

from projections.projection import Derived, Row, of_events
from schemas.event_types import (
    ACTIVITY_COMPLETED,
    ACTIVITY_PROGRESSED,
    ACTIVITY_REVERTED,
    MEMBER_ENROLLED,
    MEMBER_UNENROLLED,
)
from schemas.outputs import Envelope

THE_PATHWAY = ""
"""Stands for an activity's id where a row is about the enrolment itself."""


class _Enrolled(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.Enrolled``."""

    pathway_id: str
    owned_by_id: str
    enrolled: bool


class _Activity(msgspec.Struct, rename="camel", gc=False):
    """Some fields of ``outputs.ActivityChanged``."""

    pathway_id: str
    owned_by_id: str
    activity_id: str
    complete: bool


_ENROLLED = msgspec.json.Decoder(_Enrolled)
_ACTIVITY = msgspec.json.Decoder(_Activity)


def enrolled(event: Envelope) -> Iterable[Row]:
    """Whether the member is enrolled now."""
    data = _ENROLLED.decode(event.data)
    place = (event.project, data.pathway_id, data.owned_by_id, THE_PATHWAY)
    yield (*place, data.enrolled, int(event.sequence))


def worked(event: Envelope) -> Iterable[Row]:
    """That the member completed an activity."""
    data = _ACTIVITY.decode(event.data)
    if data.complete:
        place = (event.project, data.pathway_id, data.owned_by_id, data.activity_id)
        yield (*place, True, int(event.sequence))


def reverted(event: Envelope) -> Iterable[Row]:
    """Whether the activity is completed after a log of it was voided."""
    data = _ACTIVITY.decode(event.data)
    place = (event.project, data.pathway_id, data.owned_by_id, data.activity_id)
    yield (*place, data.complete, int(event.sequence))


STATS = Derived(
    tables=("pathway_stats",),
    # A member's rows lie on one partition, and this transaction holds its checkpoint: nobody else
    # changes them meanwhile. The counts are everybody's, and locked by their key.
    statement="""
        WITH news AS MATERIALIZED (
            SELECT project, pathway_id, member_id, activity_id,
                coming.holds, coalesce(known.holds, false) AS held
            FROM {rows} AS coming
            LEFT JOIN {model} AS known USING (project, pathway_id, member_id, activity_id)
            WHERE known.sequence IS NULL OR coming.sequence >= known.sequence
        ), standings AS MATERIALIZED (
            SELECT news.*,
                coalesce(bool_or(news.held) FILTER (WHERE news.activity_id = '') OVER member,
                    known.holds, false) AS was_enrolled,
                coalesce(bool_or(news.holds) FILTER (WHERE news.activity_id = '') OVER member,
                    known.holds, false) AS is_enrolled
            FROM news
            LEFT JOIN {model} AS known
                ON known.project = news.project AND known.pathway_id = news.pathway_id
                AND known.member_id = news.member_id AND known.activity_id = ''
            WINDOW member AS (PARTITION BY news.project, news.pathway_id, news.member_id)
        ), changes (project, pathway_id, activity_id, members) AS (
            SELECT project, pathway_id, '', is_enrolled::integer - was_enrolled::integer
            FROM standings WHERE activity_id = ''
            UNION ALL
            SELECT project, pathway_id, known.activity_id,
                is_enrolled::integer - was_enrolled::integer
            FROM standings JOIN {model} AS known USING (project, pathway_id, member_id)
            WHERE standings.activity_id = '' AND is_enrolled <> was_enrolled
                AND known.activity_id <> '' AND known.holds
            UNION ALL
            SELECT project, pathway_id, activity_id, holds::integer - held::integer
            FROM standings WHERE activity_id <> '' AND holds <> held AND is_enrolled
        )
        INSERT INTO {pathway_stats} AS target (project, pathway_id, activity_id, members)
        SELECT project, pathway_id, activity_id, sum(members)
        FROM changes
        GROUP BY project, pathway_id, activity_id
        HAVING sum(members) <> 0
        ORDER BY project, pathway_id, activity_id
        ON CONFLICT (project, pathway_id, activity_id)
            DO UPDATE SET members = target.members + excluded.members
    """,
)

PATHWAY_STANDINGS = of_events(
    table="pathway_standings",
    columns=("project", "pathway_id", "member_id", "activity_id", "holds", "sequence"),
    key=("project", "pathway_id", "member_id", "activity_id"),
    newest_by="sequence",
    derived=STATS,
    events={
        MEMBER_ENROLLED: enrolled,
        MEMBER_UNENROLLED: enrolled,
        ACTIVITY_PROGRESSED: worked,
        ACTIVITY_COMPLETED: worked,
        ACTIVITY_REVERTED: reverted,
    },
)

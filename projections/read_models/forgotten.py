"""Members who are forgotten, in read models that stay: the addresses that they came from are null.

A row with an address is taken back only where it came before its member was forgotten: who comes
back has addresses again.
"""

from collections.abc import Iterable
from typing import LiteralString

import msgspec

from projections.projection import Amended
from schemas.outputs import Envelope


class _Member(msgspec.Struct, gc=False):
    """Some fields of ``outputs.MemberForgotten``."""

    id: str


_MEMBER = msgspec.json.Decoder(_Member)


def forgotten(event: Envelope) -> Iterable[Amended]:
    """Who is forgotten, and what comes before; for ``ADDRESSES``."""
    member = _MEMBER.decode(event.data).id
    yield Amended({"project": event.project, "member": member, "sequence": int(event.sequence)})


ADDRESSES: LiteralString = """
    UPDATE {model} AS target SET ip = NULL
    FROM (
        SELECT project, member, max(sequence) AS sequence
        FROM json_to_recordset(%s::json) AS amended (project text, member uuid, sequence bigint)
        GROUP BY project, member
    ) AS gone
    WHERE target.project = gone.project AND target.member_id = gone.member
        AND target.sequence < gone.sequence AND target.ip IS NOT NULL
"""

PORTIONS_AND_ADDRESSES: LiteralString = """
    WITH amended AS (
        SELECT * FROM json_to_recordset(%s::json)
            AS amended (project text, id uuid, portion numeric, member uuid, sequence bigint)
    ), gone AS (
        SELECT project, member, max(sequence) AS sequence FROM amended
        WHERE member IS NOT NULL GROUP BY project, member
    ), changes AS (
        SELECT project, id, portion, false AS is_gone FROM amended WHERE id IS NOT NULL
        UNION ALL
        SELECT target.project, target.id, NULL, true
        FROM gone JOIN {model} AS target
            ON target.project = gone.project AND target.member_id = gone.member
            AND target.sequence < gone.sequence AND target.ip IS NOT NULL
    )
    UPDATE {model} AS target SET
        voided_portion = coalesce(change.portion, target.voided_portion),
        ip = CASE WHEN change.is_gone THEN NULL ELSE target.ip END
    FROM (
        SELECT project, id, max(portion) AS portion, bool_or(is_gone) AS is_gone
        FROM changes GROUP BY project, id
    ) AS change
    WHERE target.project = change.project AND target.id = change.id
"""
"""That, and ``voids.PORTIONS``, in one: a statement changes a row once."""

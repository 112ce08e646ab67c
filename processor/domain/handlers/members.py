"""Members in a chunk: found or refused, kept and published where they change."""

import msgspec
from msgspec import Raw

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.member import Member
from processor.domain.context import RecordContext
from processor.domain.inputs import Refused
from processor.domain.state_kinds import MEMBER, member_key
from processor.domain.working_set import WorkingSet
from schemas import outputs, replies
from schemas.dead_letter import Reason
from schemas.event_types import EVENT_FORGOTTEN, MEMBER_UPSERTED, POINTS_FORGOTTEN


def require_member(
    entries: WorkingSet,
    context: RecordContext,
    field: str = "userId",
    message: str = "no such member",
    *,
    deleted: bool = False,
) -> Member:
    """Return the record's member.

    Args:
        entries: where members are looked up.
        context: the record.
        field: what its sender named the member by.
        message: what its sender is told.
        deleted: whether one will do that was deleted or forgotten: what it was given stays.

    Raises:
        Refused: the project has no such member.
    """
    member = entries.get(MEMBER, member_key(context.member_id))
    if member_of.is_there(member, context.project):
        return member
    if deleted and member is not None and member.project == context.project:
        return member
    raise Refused(Reason.UNKNOWN_MEMBER, message, field)


def differs(wanted: int | None, version: int) -> bool:
    """Tell whether a record has another version than its sender wants, who may want any."""
    return wanted is not None and wanted != version


def precondition_failed() -> replies.Reply:
    """Return the answer to who wants another version."""
    body = replies.Refusal(code="version_mismatch", message="the record has changed since")
    return replies.Reply(412, Raw(msgspec.json.encode(body)))


def store_member(
    entries: WorkingSet, context: RecordContext, before: Member | None, after: Member
) -> None:
    """Keep a member and publish it, where it has changed."""
    if member_of.decide(before, after):
        entries.set(MEMBER, member_key(context.member_id), after)
        record = member_of.record(context.member_id, after)
        context.emit(MEMBER_UPSERTED, record, at=after.updated_at, version=after.version)


def forget(
    entries: WorkingSet, context: RecordContext, before: Member, keys_before: int | None
) -> Member:
    """Forget a member: keep nothing but its id, and take back what was published of it.

    Returns it as it is then; nothing happens where it was forgotten before.
    """
    after = member_of.forgotten(before, context.recorded_at)
    if not member_of.decide(before, after):
        return after
    entries.set(MEMBER, member_key(context.member_id), after)
    data = outputs.MemberForgotten(
        id=context.member_id,
        user_id=after.external_id,
        forgotten_at=after.updated_at,
        version=after.version,
    )
    for event_type in (EVENT_FORGOTTEN, POINTS_FORGOTTEN):
        context.emit(event_type, data, at=after.updated_at, version=after.version)
    context.effects.forget(context.member_id, context.project, keys_before)
    return after

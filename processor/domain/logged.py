"""What is remembered of a challenge log: enough to give its first answer again."""

from datetime import datetime

import msgspec

from processor.domain.challenge import Progress


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A progress as it was after one log; what never changes is in the progress itself."""

    total: int
    status: str
    started_at: datetime
    completed_at: datetime | None
    failed_at: datetime | None
    updated_at: datetime


class Logged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A challenge log as it was recorded. ``value`` is the text of its amount."""

    created_at: datetime
    activity_at: datetime
    activity_id: str
    status: str
    value: str | None
    period_key: str
    snapshot: Snapshot | None
    reached: tuple[str, ...]
    next: str | None


def snapshot(progress: Progress) -> Snapshot:
    """Return the part of a progress that its next log may change."""
    return Snapshot(
        progress.total,
        progress.status,
        progress.started_at,
        progress.completed_at,
        progress.failed_at,
        progress.updated_at,
    )


def restore(now: Progress, then: Snapshot) -> Progress:
    """Return the progress as it was when ``then`` was taken."""
    return msgspec.structs.replace(
        now,
        total=then.total,
        status=then.status,
        started_at=then.started_at,
        completed_at=then.completed_at,
        failed_at=then.failed_at,
        updated_at=then.updated_at,
    )

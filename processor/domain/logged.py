"""What is remembered of a challenge log: enough to give its first answer again."""

from datetime import datetime

import msgspec


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

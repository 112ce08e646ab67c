"""``event_log``: every event that was logged, with what it gave."""

from collections.abc import Iterable

import msgspec

from projections.json_text import storable
from projections.projection import Row, of_events
from schemas.event_types import EVENT_LOGGED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "event_id",
    "member_id",
    "user_id",
    "occurred_at",
    "created_at",
    "points",
    "type",
    "title",
    "limit_reached",
    "condition_reached",
    "user_group_id",
    "challenge_group",
    "metadata",
    "idempotency_key",
    "ip",
    "local_date",
    "local_hour",
    "definition_version",
    "sequence",
)


class _Logged(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.EventLogged``."""

    id: str
    event_id: str
    owned_by_id: str
    user_id: str
    occurred_at: str
    created_at: str
    points: int
    type: str
    title: str
    limit_reached: bool
    condition_reached: bool
    user_group_id: str
    challenge_group: str
    metadata: msgspec.Raw
    idempotency_key: str | None
    ip: str | None
    local_date: str
    local_hour: int
    definition_version: int


_LOGGED = msgspec.json.Decoder(_Logged)


def logged(event: Envelope) -> Iterable[Row]:
    """An event as it was answered. A fact: it never changes."""
    log = _LOGGED.decode(event.data)
    yield (
        event.project,
        log.id,
        log.event_id,
        log.owned_by_id,
        log.user_id,
        log.occurred_at,
        log.created_at,
        log.points,
        log.type,
        log.title,
        log.limit_reached,
        log.condition_reached,
        log.user_group_id,
        log.challenge_group,
        storable(bytes(log.metadata).decode()),
        log.idempotency_key,
        log.ip,
        log.local_date,
        log.local_hour,
        log.definition_version,
        int(event.sequence),
    )


PROJECTION = of_events(
    table="event_log",
    columns=COLUMNS,
    key=("project", "id"),
    events={EVENT_LOGGED: logged},
)

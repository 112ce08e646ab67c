"""``reward_logs``: one reward per member, milestone and period, and how it was fulfilled."""

from collections.abc import Iterable

import msgspec

from projections.projection import Row, of_events
from schemas.event_types import REWARD_GRANTED, REWARD_UPDATED
from schemas.outputs import Envelope

COLUMNS = (
    "project",
    "id",
    "member_id",
    "linked_schema_slug",
    "linked_schema_record_id",
    "milestone_id",
    "period_key",
    "coupon_code",
    "reward_issued_at",
    "reward_expiry_at",
    "created_at",
    "updated_at",
    "version",
    "definition_version",
    "sequence",
)


class _Reward(msgspec.Struct, rename="camel", gc=False):
    """What the table takes of ``outputs.RewardChanged``."""

    id: str
    owned_by_id: str
    linked_schema_slug: str
    linked_schema_record_id: str
    milestone_id: str
    period_key: str
    coupon_code: str | None
    reward_issued_at: str | None
    reward_expiry_at: str | None
    created_at: str
    updated_at: str
    version: int
    definition_version: int


_REWARD = msgspec.json.Decoder(_Reward)


def changed(event: Envelope) -> Iterable[Row]:
    """The reward as it was granted, or as it is after an update."""
    reward = _REWARD.decode(event.data)
    yield (event.project, *msgspec.structs.astuple(reward), int(event.sequence))


PROJECTION = of_events(
    table="reward_logs",
    columns=COLUMNS,
    key=("project", "id"),
    newest_by="sequence",
    events={REWARD_GRANTED: changed, REWARD_UPDATED: changed},
)

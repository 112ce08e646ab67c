"""``reward_logs``: one reward per member, milestone and period, and how it was fulfilled."""

from collections.abc import Iterable

import msgspec

from projections.projection import Projection, Row, by_type
from schemas.outputs import REWARD_GRANTED, REWARD_UPDATED, Envelope
from schemas.topics import REWARD_EVENTS

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


PROJECTION = Projection(
    table="reward_logs",
    topics=(REWARD_EVENTS,),
    types=frozenset({REWARD_GRANTED, REWARD_UPDATED}),
    columns=COLUMNS,
    key=("project", "id"),
    newest_by="sequence",
    rows=by_type({REWARD_GRANTED: changed, REWARD_UPDATED: changed}),
)

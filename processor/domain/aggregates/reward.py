"""A reward log: what a member gets for a milestone, and how the backend fulfilled it. State,
initial, evolve; what is to be announced is what its caller changed.
"""

from datetime import datetime

import msgspec
from msgspec import UNSET, Raw

from schemas import outputs
from schemas.records import UpdateRewardLog


class Reward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One reward; only coupon, issue and expiry ever change, and that it is revoked, or granted
    again; each change is a version. ``remembers`` tells whether the points that came with it are
    remembered where there were any: before 0.5.0 they were not."""

    member_id: str
    slug: str
    linked_id: str
    milestone_id: str
    period_key: str
    created_at: datetime
    updated_at: datetime
    version: int = 1
    coupon_code: str | None = None
    issued_at: datetime | None = None
    expiry_at: datetime | None = None
    revoked_at: datetime | None = None
    remembers: bool = False


def initial(
    member_id: str, *, slug: str, linked_id: str, milestone_id: str, period_key: str, at: datetime
) -> Reward:
    """Return a reward as it is granted: no coupon, no dates."""
    return Reward(member_id, slug, linked_id, milestone_id, period_key, at, at, remembers=True)


def evolve(before: Reward, command: UpdateRewardLog, at: datetime) -> Reward:
    """Return the reward with the fields that the command gives; itself where none changes."""
    given = {
        "coupon_code": command.coupon_code,
        "issued_at": command.reward_issued_at,
        "expiry_at": command.reward_expiry_at,
    }
    changes = {
        name: value
        for name, value in given.items()
        if value is not UNSET and value != getattr(before, name)
    }
    if not changes:
        return before
    return msgspec.structs.replace(before, **changes, updated_at=at, version=before.version + 1)


def revoked(before: Reward, at: datetime) -> Reward:
    """Return a reward that is taken back."""
    return msgspec.structs.replace(before, revoked_at=at, updated_at=at, version=before.version + 1)


def granted_again(before: Reward, *, slug: str, linked_id: str, at: datetime) -> Reward:
    """Return a reward that was taken back and is granted again: no coupon, no dates."""
    return msgspec.structs.replace(
        initial(
            before.member_id,
            slug=slug,
            linked_id=linked_id,
            milestone_id=before.milestone_id,
            period_key=before.period_key,
            at=at,
        ),
        created_at=before.created_at,
        version=before.version + 1,
        remembers=before.remembers,
    )


def record(reward_id: str, reward: Reward, milestone: Raw) -> outputs.RewardLogRecord:
    """Return the reward log as the records face shows it."""
    return outputs.RewardLogRecord(
        id=reward_id,
        owned_by_id=reward.member_id,
        linked_schema_slug=reward.slug,
        linked_schema_record_id=reward.linked_id,
        milestone_id=reward.milestone_id,
        period_key=reward.period_key,
        coupon_code=reward.coupon_code,
        reward_issued_at=reward.issued_at,
        reward_expiry_at=reward.expiry_at,
        created_at=reward.created_at,
        updated_at=reward.updated_at,
        version=reward.version,
        milestone=milestone,
    )


def changed(record: outputs.RewardLogRecord, version: int) -> outputs.RewardChanged:
    """Return the reward log as it is published; ``version`` is its milestone's definition's."""
    return outputs.RewardChanged(**msgspec.structs.asdict(record), definition_version=version)

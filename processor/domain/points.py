"""Points: a ledger a member, with a balance for each challenge group. State, evolve, record.

A balance never goes below 0, while an entry is written in full: the sum of the entries can be less
than the balance.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from processor.domain.event import DEFAULT_USER_GROUP
from processor.domain.rules import DEFAULT_GROUP
from schemas import ids, outputs

GRANT = "grant"
REDEEM = "redeem"


class Balances(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in each challenge group."""

    groups: Mapping[str, int] = {}

    @property
    def total(self) -> int:
        """The sum over all groups."""
        return sum(self.groups.values())


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of the ledger: what gave or took how many points, and when.

    ``source`` and ``source_id`` are its identity: one entry for each.
    """

    source: str
    source_id: str
    action_id: str
    points: int
    at: datetime
    group: str = DEFAULT_GROUP
    event_id: str | None = None
    user_group: str = DEFAULT_USER_GROUP
    ip: str | None = None
    version: int = -1


def evolve(before: Balances, group: str, points: int) -> Balances:
    """Return the balances after an entry."""
    balance = max(before.groups.get(group, 0) + points, 0)
    groups = {**before.groups, group: balance}
    if not balance:  # any name may be redeemed from: what is empty is not kept
        del groups[group]
    return Balances(groups)


def record(
    project: str,
    member_id: str,
    user_id: str,
    entry: Entry,
    *,
    after: Balances,
    recorded_at: datetime,
) -> outputs.PointsChanged:
    """Return an entry as it is published."""
    return outputs.PointsChanged(
        id=ids.points_entry_id(project, entry.source, entry.source_id),
        user_id=user_id,
        owned_by_id=member_id,
        action_id=entry.action_id,
        challenge_group=entry.group,
        points=entry.points,
        balance=after.groups.get(entry.group, 0),
        total_balance=after.total,
        operation=REDEEM if entry.points < 0 else GRANT,
        event_id=entry.event_id,
        user_group_id=entry.user_group,
        source_id=entry.source_id,
        ip=entry.ip,
        occurred_at=entry.at,
        created_at=recorded_at,
        definition_version=entry.version,
    )

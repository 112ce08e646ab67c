"""A member's points: a balance for each challenge group. State, initial, evolve.

A balance never goes below 0, while an entry is written in full: the sum of the entries can be less
than the balance.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from processor.domain.aggregates.event import DEFAULT_USER_GROUP
from processor.domain.rules import DEFAULT_GROUP

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


def initial() -> Balances:
    """Return what a member without points has."""
    return Balances()


def evolve(before: Balances, group: str, points: int) -> Balances:
    """Return the balances after an entry."""
    balance = max(before.groups.get(group, 0) + points, 0)
    groups = {**before.groups, group: balance}
    if not balance:  # any name may be redeemed from: what is empty is not kept
        del groups[group]
    return Balances(groups)

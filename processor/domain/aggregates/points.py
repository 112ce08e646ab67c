"""A member's points: a balance for each challenge group. State, initial, evolve, decide.

A balance never goes below 0, nor below what is held of it, while a redemption is written in full:
the sum of the entries can be less than the balance.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from processor.domain.aggregates.boost import Multiplied
from processor.domain.aggregates.event import DEFAULT_USER_GROUP
from processor.domain.rules import DEFAULT_GROUP

GRANT = "grant"
REDEEM = "redeem"
SPEND = "spend"
CAPTURE = "capture"
ADJUST = "adjust"


class Purse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in one challenge group: of ``balance`` points ``held`` are reserved, by
    ``holds`` holds that are open."""

    balance: int = 0
    held: int = 0
    holds: int = 0

    @property
    def available(self) -> int:
        """The points that can be spent or held."""
        return self.balance - self.held


class Balances(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in each challenge group: the balance alone where it has nothing else."""

    groups: Mapping[str, int | Purse] = {}

    @property
    def total(self) -> int:
        """The sum of the balances of all groups."""
        return sum([p if p.__class__ is int else p.balance for p in self.groups.values()])  # type: ignore[union-attr,misc]

    @property
    def holds(self) -> int:
        """How many holds are open, in all groups."""
        return sum(p.holds for p in self.groups.values() if isinstance(p, Purse))

    def purse(self, group: str) -> Purse:
        """Return what there is in a group."""
        purse = self.groups.get(group, 0)
        return purse if isinstance(purse, Purse) else Purse(purse)


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
    multiplied: Multiplied | None = None
    """What tiers and boosts made of the points of an event, where some acted."""


class Moved(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a command did: its first answer. ``points`` are as its answer has them."""

    group: str
    points: int
    balance: int
    held: int


def initial() -> Balances:
    """Return what a member without points has."""
    return Balances()


def evolve(before: Balances, group: str, points: int) -> Balances:
    """Return the balances after points came or went; a redemption stops at what is held."""
    purse = before.groups.get(group, 0)
    if purse.__class__ is not int:
        return replaced(before, group, moved(before.purse(group), points))
    groups = {**before.groups, group: max(purse + points, 0)}
    if not groups[group]:  # any name may be redeemed from: what is empty is not kept
        del groups[group]
    return Balances(groups)


def moved(purse: Purse, points: int) -> Purse:
    """Return a purse after points came, or went as far as they are not held."""
    balance = max(purse.balance + points, purse.held)
    return msgspec.structs.replace(purse, balance=balance)


def reserved(purse: Purse, points: int) -> Purse:
    """Return a purse with one more open hold."""
    return msgspec.structs.replace(purse, held=purse.held + points, holds=purse.holds + 1)


def unreserved(purse: Purse, points: int) -> Purse:
    """Return a purse with one open hold less."""
    return msgspec.structs.replace(purse, held=purse.held - points, holds=purse.holds - 1)


def replaced(before: Balances, group: str, purse: Purse) -> Balances:
    """Return the balances with another purse: a number where it has no more than a balance."""
    groups = {**before.groups, group: purse}
    if purse == Purse(purse.balance):
        groups[group] = purse.balance
        if not purse.balance:
            del groups[group]
    return Balances(groups)

"""A member's points: a balance for each challenge group. State, initial, evolve, decide.

A balance never goes below 0, nor below what is held of it, while a redemption is written in full:
the sum of the entries can be less than the balance.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw

from processor.domain.aggregates.boost import Multiplied
from processor.domain.aggregates.event import DEFAULT_USER_GROUP
from processor.domain.rules import DEFAULT_GROUP
from schemas import ids

GRANT = "grant"
REDEEM = "redeem"
SPEND = "spend"
CAPTURE = "capture"
ADJUST = "adjust"
EXPIRE = "expire"
REVERSE = "reverse"


class Taken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Points that were taken from a lot, by its name. ``expires_at`` is when they would have
    lapsed, and ``slides`` whether with all others that lapse together."""

    lot: str
    points: int
    expires_at: datetime | None = None
    slides: bool = False


Took = Sequence[Taken]
"""What was taken, from the lot that lapses first foremost."""


class Purse(msgspec.Struct, array_like=True, gc=False):
    """What a member has in one challenge group. Only a copy is ever changed (``handlers.lots``).

    ``held`` of the ``balance`` are reserved, by ``holds`` holds that are open. ``pending`` points
    are in no balance yet. Of the balance ``expiring`` are in lots that lapse; the rest lives for
    ever. ``overdue`` of them would have lapsed and are kept, as never more than are held.
    ``lots`` is the number of lots that are entries; ``time_changes`` counts what time did:
    notices, activations and lapses.
    ``slides_on`` (an ordinal) and ``slides_at`` are when lots lapse that lapse together, and
    ``slid_until`` when those lapsed that no later grant kept. ``first`` is the day on which the
    first lot lapses, 0 where that has to be looked for. ``told`` tells whether its lots were
    published, and ``merged`` whether two were ever made one, as there were too many.
    """

    balance: int = 0
    held: int = 0
    holds: int = 0
    pending: int = 0
    expiring: int = 0
    overdue: int = 0
    lots: int = 0
    time_changes: int = 0
    slides_on: int = 0
    slides_at: datetime | None = None
    told: bool = False
    first: int = 0
    slid_until: datetime | None = None
    merged: bool = False

    @property
    def available(self) -> int:
        """The points that can be spent or held."""
        return self.balance - self.held

    @property
    def endless(self) -> int:
        """The points that live for ever."""
        return self.balance - self.expiring


class Balances(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a member has in each challenge group: the balance alone where it has nothing else."""

    groups: Mapping[str, int | Purse] = {}

    @property
    def total(self) -> int:
        """The sum of the balances of all groups."""
        try:
            return sum(self.groups.values())  # type: ignore[arg-type]  # hardly any is a purse
        except TypeError:
            return sum(p if isinstance(p, int) else p.balance for p in self.groups.values())

    @property
    def holds(self) -> int:
        """How many holds are open, in all groups."""
        return sum(p.holds for p in self.groups.values() if isinstance(p, Purse))

    def purse(self, group: str) -> Purse:
        """Return what there is in a group."""
        purse = self.groups.get(group, 0)
        return purse if isinstance(purse, Purse) else Purse(purse)


class Unearned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """By how much a member has more in each challenge group, pending points included, than it ever
    earned there; below 0 where it has less. A grant changes nothing of it: whoever only earns has
    none."""

    groups: Mapping[str, int] = {}


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
    again: int = 0
    """How often its source gave points before, which were taken back each time."""
    recalculation_id: str | None = None
    """The recalculation by which its source gives more than it did; those are no time of their
    own."""

    @property
    def own_id(self) -> str:
        """What tells it from all entries of its source: each time that it gives points is one."""
        own = own_id(self.source_id, self.again)
        if self.recalculation_id is None:
            return own
        return ids.more_points_source(own, self.recalculation_id)


def own_id(source_id: str, again: int) -> str:
    """Return what tells an entry from all of its source, which gave ``again`` times before."""
    return f"{source_id}:{again}" if again else source_id


class Moved(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a command did: its first answer, and what it took. ``points`` are as its answer has
    them."""

    group: str
    points: int
    balance: int
    held: int
    took: Took = ()


class Granted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an entry of earned points gave, the name of the lot that it lies in, and when it was
    earned (None where a version wrote it that did not say).

    It is the latest of its source: ``times`` is how often that gave points. ``withdrawn`` tells
    whether they were taken back, so that the source gives them again.
    """

    group: str
    points: int
    lot: str
    at: datetime | None = None
    times: int = 1
    withdrawn: bool = False


class Redeemed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a redemption did: its first answer, and what it took; None where a version wrote it
    that did not say."""

    body: Raw
    took: Took | None = None


def remembered(before: Granted | None, entry: Entry, lot: str) -> Granted:
    """Return what is kept of an entry that gave points, which lie in a lot. What a recalculation
    gives more is of the same time as what there was: it is taken back together."""
    if before is not None and entry.recalculation_id is not None:
        return msgspec.structs.replace(before, points=before.points + entry.points)
    return Granted(entry.group, entry.points, lot, entry.at, entry.again + 1)


def given_back(took: Took, done: int, until: int) -> Took:
    """Return what goes back of points that were taken, where so many of them are back (``done``)
    and are to be (``until``): what was taken last first, and so what lapses last."""
    found, place = [], 0
    for taken in reversed(took):
        points = min(place + taken.points, until) - max(place, done)
        if points > 0:
            found.append(msgspec.structs.replace(taken, points=points))
        place += taken.points
    return found[::-1]


class _Body(msgspec.Struct, frozen=True, rename="camel", gc=False):
    challenge_group: str


_BODY = msgspec.json.Decoder(_Body)


def group_of(redeemed: Redeemed) -> str:
    """Return the group that points were redeemed from."""
    return _BODY.decode(redeemed.body).challenge_group


def initial() -> Balances:
    """Return what a member without points has."""
    return Balances()


def ever_earned(balances: Balances, unearned: Unearned, group: str | None) -> int:
    """Return how many points a member ever earned in a group, None: in all."""
    groups = {*balances.groups, *unearned.groups} if group is None else (group,)
    purses = ((balances.purse(each), unearned.groups.get(each, 0)) for each in groups)
    return sum(purse.balance + purse.pending - more for purse, more in purses)


def otherwise(before: Unearned, group: str, points: int) -> Unearned:
    """Return what is not earned after points of a group came, or went, otherwise than by grants."""
    return Unearned({**before.groups, group: before.groups.get(group, 0) + points})


def evolve(before: Balances, group: str, points: int) -> Balances:
    """Return the balances after points were given to a group that has no lots."""
    purse = before.groups.get(group, 0)
    if isinstance(purse, int):
        return Balances({**before.groups, group: purse + points})
    return replaced(before, group, msgspec.structs.replace(purse, balance=purse.balance + points))


def replaced(before: Balances, group: str, purse: Purse) -> Balances:
    """Return the balances with another purse: a number where it has no more than a balance."""
    groups = {**before.groups, group: purse}
    if purse == Purse(purse.balance):
        groups[group] = purse.balance
        if not purse.balance:  # any name may be redeemed from: what is empty is not kept
            del groups[group]
    return Balances(groups)

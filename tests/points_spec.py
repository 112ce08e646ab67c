"""The words of ``spec`` for points that are spent and held, and for wallets."""

from typing import Any

from tests.spec import PROJECT, Defined, Fact, Sent, command

# What is given.


def wallet_of(group: str = "_default", *, project: str = PROJECT, **fields: Any) -> Defined:
    """A wallet's definition: no expiry, no caps."""
    return Defined("wallet", group, {"id": group, "name": "Points"} | fields, project)


def rolling(after: str = "P10D", **fields: Any) -> Defined:
    """A wallet whose points lapse some time after each grant."""
    return wallet_of(expiry={"type": "rolling", "after": after}, **fields)


def spend(points: int, identifier: str = "spend-1", **fields: Any) -> Sent:
    """The command that spends points of Ann's."""
    return _of_ann("spend-points", points=points, uniqueIdentifier=identifier, **fields)


def hold(points: int, identifier: str = "hold-1", **fields: Any) -> Sent:
    """The command that reserves points of Ann's."""
    return _of_ann("hold-points", points=points, uniqueIdentifier=identifier, **fields)


def capture(of: str = "hold-1", identifier: str = "capture-1", **fields: Any) -> Sent:
    """The command that spends what a hold reserves."""
    known = {"holdIdentifier": of, "uniqueIdentifier": identifier}
    return _of_ann("capture-hold", **(known | fields))


def release(of: str = "hold-1", identifier: str = "release-1", **fields: Any) -> Sent:
    """The command that gives back what a hold reserves."""
    known = {"holdIdentifier": of, "uniqueIdentifier": identifier}
    return _of_ann("release-hold", **(known | fields))


def adjust(points: int, identifier: str = "adjust-1", **fields: Any) -> Sent:
    """The command that gives or takes points of Ann's by hand."""
    known = {"points": points, "uniqueIdentifier": identifier, "reason": "opening balance"}
    return _of_ann("adjust-points", **(known | fields))


def _of_ann(type_: str, **fields: Any) -> Sent:
    named = {"userId": "ann"} | fields
    return command(type_, **{name: value for name, value in named.items() if value is not None})


# What is expected.


def spent(points: int, **fields: Any) -> Fact:
    """``points.spent``; ``points`` as they stand in the ledger, below 0."""
    return Fact("points.spent", {"points": points, "operation": "spend", **fields})


def captured(points: int, **fields: Any) -> Fact:
    """``points.captured``; ``points`` as they stand in the ledger, below 0."""
    return Fact("points.captured", {"points": points, "operation": "capture", **fields})


def adjusted(points: int, **fields: Any) -> Fact:
    """``points.adjusted``."""
    return Fact("points.adjusted", {"points": points, "operation": "adjust", **fields})


def held(points: int, **fields: Any) -> Fact:
    """``points.held``."""
    return Fact("points.held", {"points": points, **fields})


def released(points: int, why: str = "released", **fields: Any) -> Fact:
    """``points.released``."""
    return Fact("points.released", {"points": points, "why": why, **fields})


def short(asked: int, available: int, **fields: Any) -> Fact:
    """``points.refused``."""
    return Fact("points.refused", {"asked": asked, "available": available, **fields})


def expired(points: int, **fields: Any) -> Fact:
    """``points.expired``; ``points`` as they stand in the ledger, below 0."""
    return Fact("points.expired", {"points": points, "operation": "expire", **fields})


def activated(points: int, **fields: Any) -> Fact:
    """``points.activated``."""
    return Fact("points.activated", {"points": points, **fields})


def expiring(points: int, days: int, **fields: Any) -> Fact:
    """``points.expiring``."""
    return Fact("points.expiring", {"points": points, "noticeDays": days, **fields})

"""The words of ``spec`` for tiers."""

from typing import Any

from tests.event_spec import event
from tests.spec import Defined, Fact, Happened, Sent, command

STATUS = "status"


def tiers_of(*thresholds: Any, multipliers: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    """Tiers that are called by their place: ``t0``, ``t1``, …"""
    made: list[dict[str, Any]] = []
    for number, threshold in enumerate(thresholds):
        tier = {"id": f"t{number}", "name": f"Tier {number}", "threshold": threshold}
        if number < len(multipliers) and multipliers[number] is not None:
            tier["multiplier"] = multipliers[number]
        made.append(tier)
    return made


def tier_set(*thresholds: Any, id_: str = STATUS, **fields: Any) -> Defined:
    """A set of tiers by what was ever earned."""
    known: dict[str, Any] = {"name": "Status", "basis": {"type": "earned"}}
    if "tiers" not in fields:
        known["tiers"] = tiers_of(*thresholds)
    return Defined("tier-set", id_, {"id": id_, **known, **fields})


def rolling(length: str) -> dict[str, str]:
    """A rolling window."""
    return {"type": "rolling", "length": length}


YEAR = {"type": "calendar_year"}


def earn(points: int, at: str, arrives: str | None = None) -> Sent:
    """An event of Ann's that gives points; it arrives when it happens, or later."""
    when = at if "T" in at else f"{at}T12:00:00Z"
    came = when if arrives is None else arrives if "T" in arrives else f"{arrives}T12:00:00Z"
    return event("buy", when, metadata={"amount": points}).arriving(came)


def assign(tier: str | None, identifier: str = "a1", at: str = "2026-11-21", **fields: Any) -> Sent:
    """The command that assigns Ann a tier."""
    known = {"userId": "ann", "tierSetId": STATUS, "tierId": tier, "reason": "because"}
    when = at if "T" in at else f"{at}T12:00:00Z"
    return command("assign-tier", uniqueIdentifier=identifier, **{**known, **fields}).arriving(when)


def changed(before: str | None, after: str | None, reason: str = "earned", **fields: Any) -> Fact:
    """``tier.changed``."""
    return Fact("tier.changed", {"from": before, "to": after, "reason": reason, **fields})


def moves(*happened: Happened) -> list[tuple[str | None, str | None, str]]:
    """Return from, to and reason of each change."""
    found = [each for one in happened for each in one.of("tier.changed")]
    return [(each["from"], each["to"], each["reason"]) for each in found]

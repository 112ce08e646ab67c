"""Hypothesis strategies for histories of tiers: points earned and spent, tiers assigned, time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.instants import format_instant, parse_instant
from tests.built_once import composite, sampled_from
from tests.event_spec import event, event_of, tick
from tests.points_spec import spend
from tests.spec import Defined, Sent, ann, project_settings
from tests.strategies import Segment
from tests.tier_spec import assign, tiers_of

EARLY = "2026-10-20T10:00:00Z"
BUY = event_of("buy", type="TRANSACTION", reward={"default": 1}, rewardValueField="amount")
SETS = ("a", "b")


@dataclass(frozen=True)
class Step:
    """Something that happens: what, with what, and when it arrives."""

    what: str
    at: datetime
    arrives: datetime
    number: int
    of: str = ""
    tier: str | None = None
    until: datetime | None = None


@composite
def tier_sets(draw: st.DrawFn, id_: str) -> Defined:
    """A tier set."""
    basis = draw(sampled_from(["earned", "earned", "earned", "balance"]))
    fields: dict[str, Any] = {
        "basis": {"type": basis},
        "tiers": tiers_of(*draw(sampled_from([(0, 5, 9), (3, 8), (0, 2, 4, 6, 8)]))),
        "downgrade": draw(sampled_from(["none", "to_basis", "one_down", "one_down"])),
        "grace": draw(sampled_from([None, None, None, "P1M"])),
    }
    if basis == "earned":
        fields["window"] = draw(
            sampled_from(
                [
                    {"type": "lifetime"},
                    {"type": "calendar_year"},
                    {"type": "calendar_year"},
                    {"type": "rolling", "length": "P1M"},
                    {"type": "rolling", "length": "P3M"},
                    {"type": "rolling", "length": "P1Y"},
                ]
            )
        )
    given = {name: value for name, value in fields.items() if value is not None}
    return Defined("tier-set", id_, {"id": id_, "name": id_, **given})


@composite
def tier_histories(draw: st.DrawFn) -> list[Segment]:
    """What happens comes late, repeated, and with long silences; the second set may be defined
    later than the first."""
    zone = draw(sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
    now = parse_instant(EARLY)
    steps: list[Step] = []
    for number in range(draw(st.integers(8, 30))):
        now += timedelta(hours=draw(sampled_from([0, 1, 13, 24, 24 * 9, 24 * 31, 24 * 100])))
        what = draw(sampled_from(["buy"] * 5 + ["again", "spend", "tick", "tick", "assign"]))
        late = timedelta(days=draw(sampled_from([0, 0, 0, 1, 20, 45, 200])))
        until = draw(sampled_from([None, now + timedelta(days=40)]))
        steps.append(
            Step(
                what,
                now - late,
                now,
                draw(st.integers(1, 5)) if what != "again" else number,
                draw(sampled_from(SETS)),
                draw(sampled_from([None, "t0", "t1"])),
                until,
            )
        )
    second = draw(sampled_from([0, 0, len(steps) // 2]))
    first, other = (draw(tier_sets(id_)) for id_ in SETS)
    given, records = [project_settings(timezone=zone), BUY, first], [ann.arriving(EARLY)]
    records += [_sent(step, number) for number, step in enumerate(steps)]
    return [Segment(given, records[: second + 1]), Segment([other], records[second + 1 :])]


def _sent(step: Step, number: int) -> Sent:
    """Return the record of a step."""
    arrives = format_instant(step.arrives)
    if step.what == "tick":
        return tick(arrives)
    if step.what == "spend":
        return spend(step.number, f"s{number}").arriving(arrives)
    if step.what == "assign":
        until = {} if step.until is None else {"until": format_instant(step.until)}
        return assign(step.tier, f"a{number}", arrives, tierSetId=step.of, **until)
    key = f"k{number}" if step.what == "buy" else "k0"
    amount = {"amount": step.number}
    made = event("buy", format_instant(step.at), metadata=amount, idempotencyKey=key)
    return made.arriving(arrives)

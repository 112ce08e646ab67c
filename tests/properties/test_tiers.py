"""Tiers agree with a naive reading of the rules over random histories, however they are cut."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import format_instant, parse_instant
from tests.event_spec import event, event_of, tick
from tests.points_spec import spend
from tests.properties.tier_reference import Move, Standing
from tests.spec import Defined, Happened, Partition, Sent, ann, project_settings
from tests.tier_spec import assign, tiers_of

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


@dataclass(frozen=True)
class History:
    """A zone, two sets, what happens, and before which step the second set is defined."""

    zone: str
    definitions: list[dict[str, Any]]
    steps: list[Step]
    second: int

    def defined(self, number: int) -> int:
        """Return how many of the sets are defined at a step."""
        return 1 if number < self.second else 2


@st.composite
def sets(draw: st.DrawFn, id_: str) -> dict[str, Any]:
    """A tier set."""
    basis = draw(st.sampled_from(["earned", "earned", "earned", "balance"]))
    fields: dict[str, Any] = {
        "basis": {"type": basis},
        "tiers": tiers_of(*draw(st.sampled_from([(0, 5, 9), (3, 8), (0, 2, 4, 6, 8)]))),
        "downgrade": draw(st.sampled_from(["none", "to_basis", "one_down", "one_down"])),
        "grace": draw(st.sampled_from([None, None, None, "P1M"])),
    }
    if basis == "earned":
        fields["window"] = draw(
            st.sampled_from(
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
    return {"id": id_, "name": id_, **fields}


@st.composite
def histories(draw: st.DrawFn) -> History:
    """What happens comes late, repeated, and with long silences."""
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
    now = parse_instant("2026-10-20T10:00:00Z")
    steps: list[Step] = []
    for number in range(draw(st.integers(8, 30))):
        now += timedelta(hours=draw(st.sampled_from([0, 1, 13, 24, 24 * 9, 24 * 31, 24 * 100])))
        what = draw(st.sampled_from(["buy"] * 5 + ["again", "spend", "tick", "tick", "assign"]))
        late = timedelta(days=draw(st.sampled_from([0, 0, 0, 1, 20, 45, 200])))
        until = draw(st.sampled_from([None, now + timedelta(days=40)]))
        steps.append(
            Step(
                what,
                now - late,
                now,
                draw(st.integers(1, 5)) if what != "again" else number,
                draw(st.sampled_from(SETS)),
                draw(st.sampled_from([None, "t0", "t1"])),
                until,
            )
        )
    second = draw(st.sampled_from([0, 0, len(steps) // 2]))
    return History(zone, [draw(sets(id_)) for id_ in SETS], steps, second)


def sent(step: Step, number: int) -> Sent:
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


def expected(history: History) -> list[list[Move]]:
    """Return the moves of each step, by the naive reading."""
    standings = [Standing(definition, history.zone) for definition in history.definitions]
    keys: set[str] = set()
    balance = 0
    found: list[list[Move]] = []
    for number, step in enumerate(history.steps):
        key = f"k{number}" if step.what == "buy" else "k0"
        repeated = step.what in ("buy", "again") and key in keys
        earns = step.what in ("buy", "again") and not repeated and step.number > 0
        spends = step.what == "spend" and step.number <= balance
        if step.what in ("buy", "again"):
            keys.add(key)
        balance += step.number if earns else -step.number if spends else 0
        told: list[Move] = []
        for standing in standings[history.defined(number) :]:
            standing.balance = balance
            if earns and standing.definition.get("window") == {"type": "lifetime"}:
                standing.grants.append((step.number, standing.day(step.at)))
        for standing in standings[: history.defined(number)]:
            standing.moves = told
            by_balance = standing.definition["basis"]["type"] == "balance"
            looks = earns or (spends and by_balance)
            # An event asks which tier acts on its points; a repeated one does not come so far.
            if looks or step.what == "tick":
                standing.go_on(step.arrives)
            if step.what == "assign" and step.of == standing.definition["id"]:
                standing.go_on(step.arrives)
                standing.assign(step.tier, step.until, step.arrives)
            if earns:
                standing.grants.append((step.number, standing.day(step.at)))
            standing.balance = balance
            if looks:
                standing.look(step.arrives, "earned")
        found.append(told)
    return found


def moved(happened: Happened) -> list[Move]:
    """Return what the fold told."""
    return [
        (
            each["tierSetId"],
            each["from"],
            each["to"],
            each["reason"],
            datetime.fromisoformat(envelope["time"]).astimezone(UTC),
        )
        for envelope in happened.envelopes
        if envelope["type"] == "milestream.tier.changed.v1"
        for each in [envelope["data"]]
    ]


def defined(history: History) -> Partition:
    """Return a partition with what is defined at first, and Ann."""
    partition = Partition()
    partition.define(project_settings(timezone=history.zone), BUY, *made(history, 0))
    partition.fold(ann)
    return partition


def made(history: History, number: int) -> list[Defined]:
    """Return the sets that are defined at a step."""
    found = history.definitions[: history.defined(number)]
    return [
        Defined("tier-set", each["id"], {k: v for k, v in each.items() if v is not None})
        for each in found
    ]


def in_chunks(history: History) -> list[list[Sent]]:
    """Return the records before the second set is defined, and after that."""
    records = [sent(step, number) for number, step in enumerate(history.steps)]
    return [records[: history.second], records[history.second :]]


@given(histories())
def test_tiers_are_as_a_naive_reading_has_them(history: History) -> None:
    partition = defined(history)
    for number, (step, wanted) in enumerate(zip(history.steps, expected(history), strict=True)):
        if number == history.second:
            partition.define(*made(history, number)[1:])
        happened = moved(partition.fold(sent(step, number)))
        assert sorted(happened, key=str) == sorted(wanted, key=str), (number, step)


@given(histories(), st.data())
def test_any_cut_into_chunks_folds_alike(history: History, data: st.DataObject) -> None:
    alone, together = defined(history), defined(history)
    one_by_one: list[Move] = []
    cut: list[Move] = []
    for number, records in zip((0, history.second), in_chunks(history), strict=True):
        for partition in (alone, together):
            partition.define(*made(history, number)[1:])
        # Ticks are folded last of a chunk, so a chunk ends with each of them.
        one_by_one += [move for record in records for move in moved(alone.fold(record))]
        done = 0
        while done < len(records):
            size = data.draw(st.integers(1, len(records) - done))
            cut += moved(together.fold(*records[done : done + size]))
            done += size
    assert cut == one_by_one
    assert alone.entries == together.entries

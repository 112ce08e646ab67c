"""The read models of tiers and boosts, from what the fold writes."""

from typing import Any

from projections.projection import Projection
from projections.read_models.definitions import BOOSTS, TIER_SETS
from projections.read_models.points import POINTS_LEDGER
from projections.read_models.tiers import MEMBER_TIERS, TIER_HISTORY
from schemas import outputs
from schemas.definition_records import read_change
from schemas.topics import POINTS_EVENTS, TIER_EVENTS
from tests.event_spec import event_of
from tests.spec import ANN, Defined, Happened, ann, given
from tests.tier_spec import STATUS, YEAR, assign, earn, tier_set, tiers_of

BUY = event_of("buy", type="TRANSACTION", reward={"default": 1}, rewardValueField="amount")
AT = "2026-11-21T12:00:00Z"


def rows(projection: Projection, happened: Happened, topic: str) -> list[dict[str, Any]]:
    """Return the rows that events make, by column."""
    events = [outputs.decode(output.value) for output in happened.outputs(topic)]
    made = [row for event in events for row in projection.rows(event)]
    return [dict(zip(projection.columns, row, strict=True)) for row in made]  # type: ignore[arg-type]


def in_force(projection: Projection, definition: Defined) -> dict[str, Any]:
    """Return the row of a definition."""
    (row,) = projection.rows(read_change(definition.key, definition.value, 7, 0))
    return dict(zip(projection.columns, row, strict=True))  # type: ignore[arg-type]


def test_a_change_is_a_row_of_history_and_the_newest_is_the_member_s() -> None:
    happened = given(ann, BUY, tier_set(0, 100)).when(
        earn(100, "2026-11-21"), assign("t1", until="2026-12-01T00:00:00Z")
    )
    (first, second) = rows(TIER_HISTORY, happened, TIER_EVENTS)
    assert (first["from_tier_id"], first["tier_id"], first["reason"]) == (None, "t1", "earned")
    assert (first["until"], first["assigned"], first["assigned_because"]) == (None, False, None)
    assert (second["version"], second["assigned_because"]) == (2, "because")
    now = rows(MEMBER_TIERS, happened, TIER_EVENTS)[-1]
    assert now == {
        "project": "default",
        "member_id": ANN,
        "tier_set_id": STATUS,
        "user_id": "ann",
        "tier_id": "t1",
        "since": AT,
        "until": "2026-12-01T00:00:00Z",
        "assigned": True,
        "basis_value": "100",
        "updated_at": AT,
        "version": 2,
        "definition_version": now["definition_version"],
        "sequence": now["sequence"],
    }


def test_an_entry_of_the_ledger_says_what_tiers_and_boosts_made_of_it() -> None:
    boost = Defined(
        "boost", "b",
        {"id": "b", "name": "B", "multiplier": 3, "startsAt": "2020-01-01T00:00:00Z"},
    )  # fmt: skip
    double = tier_set(tiers=tiers_of(0, multipliers=(2,)))
    plain = given(ann, BUY).when(earn(5, "2026-11-21"))
    both = given(ann, BUY, double, boost).when(earn(5, "2026-11-21"))
    alone = given(ann, BUY, boost).when(earn(5, "2026-11-21"))
    found = []
    for happened in (plain, both, alone):
        (row,) = rows(POINTS_LEDGER, happened, POINTS_EVENTS)
        found.append([row[n] for n in ("points", "base", "bonus", "boosts", "tier")])
    assert found == [
        [5, None, None, None, None],
        [30, 5, 25, ["b"], '{"status":"t0"}'],
        [15, 5, 10, ["b"], None],
    ]


def test_definitions_in_force_are_rows() -> None:
    row = in_force(TIER_SETS, tier_set(0, 100, window=YEAR))
    assert (row["tier_set_id"], row["basis_type"], row["basis_wallet"]) == (STATUS, "earned", None)
    assert '"threshold":100' in row["definition"]
    fields = {"id": "b", "name": "B", "multiplier": 2, "startsAt": "2026-11-01T00:00:00Z"}
    row = in_force(BOOSTS, Defined("boost", "b", fields))
    assert (row["boost_id"], row["multiplier"], row["stacking"]) == ("b", 2, "multiply")

"""What must hold of points after every record: lots add up, balances cover what is held."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from processor.domain.aggregates.points import Purse, ever_earned
from processor.domain.aggregates.wallet import Place
from processor.domain.state_kinds import (
    BALANCES,
    DUE,
    HOLD,
    LOT,
    NOTICE,
    UNEARNED,
    active_lots,
    balances_key,
    due_entry,
    lot_key,
    lots_family,
    unearned_key,
)
from schemas.ids import uuid_text
from tests.properties.beside import Both, events_of
from tests.properties.points_reference import PointsReference
from tests.spec import Happened, Partition


class Checked:
    """Checks the state after each record; to be called by ``fold_beside``."""

    def __init__(self) -> None:
        self.table = Table()

    def __call__(self, both: Both, happened: Happened) -> None:
        """Check what there is after a record."""
        for event in events_of([happened]):
            if event["type"].startswith("points."):
                self.table.take(event)
        check_state(both.partition, both.reference.ledger, self.table)


class Table:
    """The rows of `points_lots` and `points_balances`, as a projector would keep them."""

    def __init__(self) -> None:
        self.lots: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        self.balances: dict[tuple[str, str], dict[str, int]] = {}
        self.granted: Counter[tuple[str, str]] = Counter()

    def take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        key = (data["ownedById"], data["challengeGroup"])
        if event["type"] == "points.granted":
            self.granted[key] += data["points"]
        elif event["type"] == "points.reversed" and data.get("grantedAt"):
            self.granted[key] += data["points"] - data.get("notRecovered", 0)
        for lot in data.get("lots", ()):
            self.lots[key][lot["id"]] = lot
            if not lot["points"]:
                del self.lots[key][lot["id"]]
        if "balance" in data and event["type"] != "points.refused":
            row = self.balances.setdefault(key, {"pending": 0})
            row |= {"balance": data["balance"], "held": data.get("held", 0)}
            if event["type"] not in ("points.held", "points.released"):
                row["pending"] = data.get("pending", 0)


def check_first_lots(partition: Partition) -> None:
    """The lot that a purse takes for the first is the first."""
    for key, value in partition.entries.items():
        if not key.startswith(BALANCES.prefix):
            continue
        for group, purse in BALANCES.decode(value).groups.items():
            if isinstance(purse, Purse) and purse.first:
                family = lots_family(uuid_text(key[1:17]), group)
                first, last = active_lots(family)
                lots = sorted(k for k in partition.entries if first <= k < last)
                assert lots[0] == lot_key(family, Place(None, purse.first))


def check_earned(partition: Partition, table: Table) -> None:
    """What was ever earned follows from the entries: it is the sum of all grants."""
    for (member_id, group), granted in table.granted.items():
        entries = partition.entries
        balances = BALANCES.decode(entries.get(balances_key(member_id), b"[]"))
        unearned = UNEARNED.decode(entries.get(unearned_key(member_id), b"[]"))
        assert ever_earned(balances, unearned, group) == granted


def check_state(partition: Partition, reference: PointsReference, table: Table) -> None:
    """Balances and lots are those of the reference, add up, and are due once each."""
    check_first_lots(partition)
    check_earned(partition, table)
    assert sum(key.startswith(LOT.prefix) for key in partition.entries) == sum(
        len(purse.lots) for purse in reference.purses.values()
    )
    due = [due_entry(key)[1][:1] for key in partition.entries if key.startswith(DUE.prefix)]
    purses = reference.purses.values()
    lots = [lot for purse in purses for lot in purse.lots.values()]
    assert due.count(LOT.prefix) == sum(lot.due is not None for lot in lots)
    assert due.count(NOTICE.prefix) == sum(bool(lot.notices) for lot in lots)
    open_ = [hold for hold in reference.holds.values() if hold.status == "open"]
    assert due.count(HOLD.prefix) == len(open_)
    for (member, group), purse in reference.purses.items():
        assert purse.balance >= purse.held >= purse.overdue >= 0
        assert purse.endless >= 0
        row = table.balances.get((member, group))
        if row is None:
            continue
        assert (row["balance"], row["held"]) == (purse.balance, purse.held)
        assert row["pending"] == purse.pending
        shown = table.lots[member, group].values()
        if not shown:  # a group that never had a wallet shows no lots
            continue
        assert sum(lot["points"] for lot in shown) == purse.balance + purse.pending
        assert rows(shown) == sorted(
            [
                *([(purse.endless, None, None)] if purse.endless else []),
                *((lot.points, lot.activates_at, lot.expires_at) for lot in purse.lots.values()),
            ],
            key=str,
        )


def rows(lots: Iterable[dict[str, Any]]) -> list[tuple[int, datetime | None, datetime | None]]:
    def moment(text: str | None) -> datetime | None:
        return None if text is None else datetime.fromisoformat(text)

    shown = ((i["points"], moment(i["activatesAt"]), moment(i["expiresAt"])) for i in lots)
    return sorted(shown, key=str)

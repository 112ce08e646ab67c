"""The fold of points agrees with a plain reading of the rules, and its lots always add up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates import wallet as wallet_of
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
from schemas import ids
from schemas.ids import uuid_text
from schemas.instants import from_millis
from schemas.topics import EVENTS, TICKS
from tests.properties.points_reference import PointsReference, Refusal
from tests.properties.test_folding import fold_in_parts, fold_whole, written
from tests.spec import PROJECT, Happened, Partition, Sent
from tests.strategies import Segment
from tests.strategies_points import LIMIT, LIMITED, points_histories

Fact = dict[str, Any]


@contextmanager
def at_most(lots: int) -> Iterator[None]:
    """Have a wallet hold so few lots that they are merged all the time."""
    before = wallet_of.MAX_LOTS
    wallet_of.MAX_LOTS = lots
    try:
        yield
    finally:
        wallet_of.MAX_LOTS = before


def told(happened: Happened) -> list[dict[str, Any]]:
    """Return the events of points, as they are published."""
    events = [e for e in happened.envelopes if e["type"].startswith("milestream.points.")]
    return [{**e, "type": e["type"].split(".")[2]} for e in events]


def as_reference(event: dict[str, Any]) -> Fact:
    """Return of an event what the reference knows of it."""
    data = event["data"]
    names = ("userId", "challengeGroup", "points", "balance")
    fact = {"type": event["type"]} | {name: data[name] for name in names if name in data}
    if event["type"] != "expiring":
        fact["held"] = data.get("held", 0)
    if event["type"] not in ("held", "released", "expiring", "activated"):
        fact["pending"] = data.get("pending", 0)
    more = ("cut", "cutBy", "why", "noticeDays", "notRecovered")
    fact |= {name: data[name] for name in more if name in data}
    assert event["time"] == data["occurredAt"]
    return fact | {"at": datetime.fromisoformat(event["time"])}


class Table:
    """The rows of `points_lots` and `points_balances`, as a projector would keep them."""

    def __init__(self) -> None:
        self.lots: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
        self.balances: dict[tuple[str, str], dict[str, int]] = {}
        self.granted: Counter[tuple[str, str]] = Counter()

    def take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        key = (data["userId"], data["challengeGroup"])
        if event["type"] == "granted":
            self.granted[key] += data["points"]
        elif event["type"] == "reversed" and data.get("grantedAt"):
            self.granted[key] += data["points"] - data.get("notRecovered", 0)
        for lot in data.get("lots", ()):
            self.lots[key][lot["id"]] = lot
            if not lot["points"]:
                del self.lots[key][lot["id"]]
        if "balance" in data and event["type"] != "refused":
            row = self.balances.setdefault(key, {"pending": 0})
            row |= {"balance": data["balance"], "held": data.get("held", 0)}
            if event["type"] not in ("held", "released"):
                row["pending"] = data.get("pending", 0)


def expected_of(reference: PointsReference, sent: Sent) -> tuple[int, dict[str, Any] | None]:
    """Have the reference take a record; return the status and, where it knows it, the answer."""
    now = from_millis(sent.timestamp)
    fields = msgspec.json.decode(sent.value or b"")
    if sent.topic == EVENTS:
        limit = LIMIT if fields["eventId"] in LIMITED else None
        return 200, {"points": reference.event(fields, limit, now)}
    if fields["type"] in ("upsert-member", "update-member-status"):
        if fields.get("status") == "paused":
            reference.paused.add(fields["userId"])
        elif fields.get("status") == "live":
            reference.paused.discard(fields["userId"])
        return (200 if "status" in fields else 201), None
    try:
        return 200, reference.command(fields, now)
    except Refusal as refusal:
        code, *numbers = refusal.args
        named = dict(zip(("asked", "available"), numbers, strict=False))
        missing = {"invalid": 400, "unknown_hold": 404, "unknown_log": 404}
        return missing.get(code, 409), {"code": code} | named


def check_answer(record: Sent, answer: tuple[int, Any], expected: tuple[int, Any]) -> None:
    status, body = answer
    assert status == expected[0], (record, body)
    body = body.get("data", body)
    for name, value in (expected[1] or {}).items():
        shown = body[name]
        assert (datetime.fromisoformat(shown) if isinstance(value, datetime) else shown) == value


def check_against_reference(history: Iterable[Segment], most_lots: int) -> None:
    partition, reference, table = Partition(), PointsReference(most_lots), Table()
    for segment in history:
        partition.define(*segment.definitions)
        for each in segment.definitions:
            if each.kind == "wallet":
                reference.wallets.pop(each.id, None)
                if each.fields is not None:
                    reference.wallets[each.id] = dict(each.fields)
        for record in segment.records:
            happened = partition.fold(record)
            reference.facts.clear()
            if record.topic == TICKS:
                reference.tick(from_millis(record.timestamp))
            else:
                expected = expected_of(reference, record)
                check_answer(record, happened.answers[0], expected)
            events = told(happened)
            facts = [as_reference(event) for event in events]
            if record.topic == TICKS:  # members and groups have no order of their own
                assert by_purse(facts) == by_purse(reference.facts)
            else:
                assert facts == reference.facts
            for event in events:
                table.take(event)
            check_state(partition, reference, table)


def by_purse(facts: list[Fact]) -> dict[tuple[str, str], list[Fact]]:
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact["userId"], fact["challengeGroup"]].append(fact)
    return found


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
    for (user, group), granted in table.granted.items():
        member_id = ids.member_id(PROJECT, user)
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


@given(points_histories())
def test_points_are_as_the_rules_say(history: list[Segment]) -> None:
    check_against_reference(history, wallet_of.MAX_LOTS)


@given(points_histories(), st.integers(2, 5))
def test_points_are_as_the_rules_say_where_lots_are_merged(
    history: list[Segment], most: int
) -> None:
    with at_most(most):
        check_against_reference(history, most)


@given(points_histories(), st.data())
def test_points_fold_alike_in_any_chunks(history: list[Segment], data: st.DataObject) -> None:
    whole, parts = Partition(), Partition()
    chunks = fold_whole(history, whole)
    assert written(fold_in_parts(history, data, parts)) == written(chunks)
    assert parts.entries == whole.entries


@given(points_histories())
def test_no_two_events_of_points_have_one_id(history: list[Segment]) -> None:
    events = [event for chunk in fold_whole(history) for event in chunk.envelopes]
    assert len({event["id"] for event in events}) == len(events)
    entries = [e["data"] for e in events if "operation" in e["data"]]
    assert len({entry["id"] for entry in entries}) == len(entries)
    for entry in entries:
        member = ids.member_id(PROJECT, entry["userId"])
        assert entry["ownedById"] == member

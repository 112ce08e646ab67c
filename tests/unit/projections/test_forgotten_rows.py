"""Members who are forgotten: given what the fold writes, what becomes of the tables."""

from typing import Any

import pytest

from projections.batch import Batch, TableChanges
from projections.catalogue import PROJECTIONS
from projections.read_models.leaderboard_days import LEADERBOARD_DAYS, STANDING_DAY
from projections.read_models.members import COMPACTED_AWAY, MEMBERS
from projections.read_models.pathways import PATHWAY_PROFILES
from projections.sources import UndecodableOutput
from schemas.outputs import PROJECT as PROJECT_HEADER
from schemas.read_models import READ_MODELS
from schemas.topics import EVENT_RESULTS, MEMBER_EVENTS, POINTS_EVENTS
from tests.event_spec import event, event_of
from tests.spec import ANN, PROJECT, Happened, Sent, command, given, upsert

forget = command("forget-member", userId="ann")
back = upsert("ann", city="Berlin")
TABLES = ("members", "pathway_profiles")


def batch_of(happened: Happened, topic: str, skip: int = 0) -> Batch:
    """Return what a topic's records do to its tables, without the first ones."""
    tables = [table for table, topics in READ_MODELS.items() if topic in topics]
    made = Batch({table: PROJECTIONS[table] for table in tables})
    records = [
        Sent(topic, output.value or None, output.key, headers=tuple(output.headers), offset=offset)
        for offset, output in enumerate(happened.outputs(topic))
    ][skip:]
    made.take(topic, 0, records, dict.fromkeys(tables, 0), len(records) + skip)
    return made


def rows(changes: TableChanges) -> list[dict[str, Any]]:
    columns = changes.projection.columns
    return [dict(zip(columns, row, strict=True)) for row in changes.rows()]


def test_the_rows_that_say_who_it_is_are_deleted() -> None:
    made = batch_of(given().when(upsert("ann", lastName="Lee"), forget), MEMBER_EVENTS)
    for table in TABLES:
        assert made.changes[table].gone == {(PROJECT, ANN)}
        assert not made.changes[table].rows()


def test_who_comes_back_in_the_same_batch_has_new_rows_alone() -> None:
    made = batch_of(given().when(upsert("ann", lastName="Lee"), forget, back), MEMBER_EVENTS)
    (member,) = rows(made.changes["members"])
    assert (member["last_name"], member["city"], member["version"]) == (None, "Berlin", 3)
    (profile,) = rows(made.changes["pathway_profiles"])
    assert "Lee" not in profile["profile"]
    assert all(made.changes[table].gone == {(PROJECT, ANN)} for table in TABLES)


def test_a_first_place_is_told_by_the_first_event_only() -> None:
    happened = given().when(upsert("ann", lastName="Lee"), upsert("ann", city="Oakland"))
    (whole,) = rows(batch_of(happened, MEMBER_EVENTS).changes["members"])
    (compacted,) = rows(batch_of(happened, MEMBER_EVENTS, skip=1).changes["members"])
    assert (whole["first_place"], whole["city"]) == (0, "Oakland")
    assert compacted == {**whole, "first_place": COMPACTED_AWAY}


def test_addresses_are_taken_back_that_came_before() -> None:
    happened = given(event_of()).when(upsert("ann"), event(ip="192.0.2.1"), forget)
    for topic, table in ((EVENT_RESULTS, "event_log"), (POINTS_EVENTS, "points_ledger")):
        changes = batch_of(happened, topic).changes[table]
        assert [row["ip"] for row in rows(changes)] == ["192.0.2.1"]
        assert changes.amended == [{"project": PROJECT, "member": ANN, "sequence": 2}]


def test_who_is_forgotten_has_no_scores_until_it_comes_back() -> None:
    happened = given().when(upsert("ann"), forget, back)
    (standing,) = rows(batch_of(happened, POINTS_EVENTS).changes["leaderboard_days"])
    assert (standing["day"], standing["user_id"], standing["standing"]) == (STANDING_DAY, "ann", 3)
    (after,) = rows(batch_of(happened, MEMBER_EVENTS).changes["leaderboard_days"])
    assert after["standing"] == 4  # the greatest counts, and says that it is there


def test_only_tables_that_name_a_person_forget() -> None:
    gone = batch_of(given(upsert("ann")).when(forget), MEMBER_EVENTS)
    assert {table for table, changes in gone.changes.items() if changes.gone} == set(TABLES)
    assert MEMBERS.key == PATHWAY_PROFILES.key == ("project", "member_id")
    assert LEADERBOARD_DAYS.key[:2] == ("project", "member_id")


@pytest.mark.parametrize(
    ("key", "headers"), [(ANN.encode(), ()), (None, ((PROJECT_HEADER, b"p"),))]
)
def test_a_record_without_value_that_names_nobody_stops_the_projector(
    key: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    made = Batch({"members": MEMBERS})
    record = Sent(MEMBER_EVENTS, None, key, headers=headers, offset=0)
    with pytest.raises(UndecodableOutput, match="which member was forgotten"):
        made.take(MEMBER_EVENTS, 0, [record], {"members": 0}, 1)

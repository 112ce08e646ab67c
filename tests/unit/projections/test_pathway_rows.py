"""Pathways: given what the fold writes, then these rows; and given twice, still these rows."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from projections.batch import TableChanges
from projections.catalogue import PROJECTIONS
from projections.projection import Amended, Deleted, Projection
from projections.read_models.definitions import PATHWAYS
from projections.read_models.pathway_standings import PATHWAY_STANDINGS
from projections.read_models.pathways import PATHWAY_ENROLMENTS, PATHWAY_LOGS, PATHWAY_PROFILES
from projections.sources import Source
from schemas import ids, outputs
from schemas.definition_records import read_change
from schemas.topics import ACTIVITY_LOGS, MEMBER_EVENTS, PATHWAY_EVENTS
from tests.spec import ANN, NOW, PROJECT, Defined, Happened, Partition, Sent, command, upsert

WAY = "EV-1"
DATA = {"category": "Sales", "formula": "sum", "target": 200}
ACTIVITIES = [
    {"id": "d", "name": 'D "é"', "type": "data", "fulfilmentType": "tracking", "data": DATA},
    {"id": "v", "name": "V", "type": "video", "fulfilmentType": "view", "required": False},
]
DEFINED = Defined("pathway", WAY, {"id": WAY, "name": "A way", "activities": ACTIVITIES})
DAY = "2026-11-20T10:00:00.250000Z"
MOMENT = NOW

Rows = list[dict[str, Any]]


def did(activity: str, identifier: str, **fulfilment: Any) -> Sent:
    log = {"pathwayId": WAY, "activityId": activity, "userId": "ann", "occurredAt": DAY}
    value = json.dumps({**log, "uniqueIdentifier": identifier, "fulfilment": fulfilment}).encode()
    return Sent(ACTIVITY_LOGS, value)


def folded(*records: Sent) -> Happened:
    partition = Partition()
    partition.define(DEFINED)
    return partition.fold(*records)


def read(happened: Happened, topic: str) -> list[Source]:
    return [outputs.decode(output.value) for output in happened.outputs(topic)]


def rows(projection: Projection, sources: Iterable[Source]) -> Rows:
    """Return what is left of the changes, by column."""
    changes = TableChanges(projection)
    for source in sources:
        for change in projection.rows(source):
            assert not isinstance(change, Amended)
            assert isinstance(change, Deleted) or len(change) == len(projection.columns)
            changes.add(change)
    return [dict(zip(projection.columns, row, strict=True)) for row in changes.rows()]


enrol = command("enrol", pathwayId=WAY, userId="ann")
unenrol = command("unenrol", pathwayId=WAY, userId="ann")


def test_an_enrolment_and_its_end_are_one_row() -> None:
    events = read(folded(upsert(), enrol, unenrol), PATHWAY_EVENTS)
    first, last = [rows(PATHWAY_ENROLMENTS, given) for given in (events[:1], events)]
    expected = {
        "project": PROJECT,
        "pathway_id": WAY,
        "member_id": ANN,
        "id": ids.enrolment_id(PROJECT, WAY, ANN),
        "user_id": "ann",
        "enrolled": True,
        "enrolled_at": MOMENT,
        "updated_at": MOMENT,
        "version": 1,
        "definition_version": 0,
        "sequence": 1,
    }
    assert first == [expected]
    assert last == [expected | {"enrolled": False, "version": 2, "sequence": 2}]


def test_an_activity_is_a_row_with_its_fulfilment_as_it_is_shown() -> None:
    events = read(
        folded(upsert(), did("d", "1", value=1.5), did("d", "2", value=99)), PATHWAY_EVENTS
    )
    (row,) = rows(PATHWAY_LOGS, events)
    fulfilment = (
        '{"type":"data","state":"in progress","progress":50,'
        '"data":{"category":"Sales","current":100.5,"target":200},'
        f'"timestamp":"{DAY}"}}'
    )
    assert row == {
        "project": PROJECT,
        "pathway_id": WAY,
        "activity_id": "d",
        "member_id": ANN,
        "id": ids.activity_progress_id(PROJECT, WAY, "d", ANN),
        "user_id": "ann",
        "state": "in progress",
        "complete": False,
        "progress": "50",
        "timestamp": DAY,
        "fulfilment": fulfilment,
        "started_at": DAY,
        "completed_at": None,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "definition_version": 0,
        "sequence": 2,
    }


def test_only_enrolments_and_completions_stand() -> None:
    happened = folded(
        upsert(), did("d", "1", value=1), did("v", "2"), enrol, unenrol, did("v", "3")
    )
    found = rows(PATHWAY_STANDINGS, read(happened, PATHWAY_EVENTS))
    stand = {"project": PROJECT, "pathway_id": WAY, "member_id": ANN}
    assert found == [
        {**stand, "activity_id": "v", "holds": True, "sequence": 5},
        {**stand, "activity_id": "", "holds": False, "sequence": 4},
    ]


def profile(**fields: Any) -> Mapping[str, Any]:
    (row,) = rows(PATHWAY_PROFILES, read(folded(upsert(**fields)), MEMBER_EVENTS))
    return row


def test_a_profile_shows_the_member_and_finds_it() -> None:
    row = profile(
        firstName="Zoé",
        lastName='O"Hara',
        email="Zoe@Example.com",
        telephone="021 555",
        groups=["Group A", "ÉQUIPE"],
    )
    assert row["profile"] == (
        '{"firstname":"Zoé","lastname":"O\\"Hara","email":"Zoe@Example.com",'
        '"telephone":"021 555","country":"","city":"","groups":["Group A","ÉQUIPE"]}'
    )
    assert row["names"] == ['o"hara', "zoe@example.com", "zoé", 'zoé o"hara']
    assert row["groups"] == ["group a", "équipe"]


def test_a_member_without_names_is_shown_without_and_found_by_none() -> None:
    assert json.loads(profile()["profile"]) == {
        **dict.fromkeys(("firstname", "lastname", "email", "telephone", "country", "city"), ""),
        "groups": [],
    }
    assert (profile()["names"], profile()["groups"]) == ([], [])
    assert profile(firstName="Jo")["names"] == ["jo"]
    assert profile(lastName="Jo")["names"] == ["jo"]


def test_nothing_is_left_of_a_member_whose_data_was_erased() -> None:
    named = upsert(firstName="Ann", email="ann@example.com", groups=["a"])
    happened = folded(named, command("delete-member", userId="ann"))
    (row,) = rows(PATHWAY_PROFILES, read(happened, MEMBER_EVENTS))
    assert "ann" not in json.dumps([row["names"], row["groups"], row["profile"]]).lower()


def test_a_pathway_has_its_definition_and_a_deleted_one_is_gone() -> None:
    made = read_change(DEFINED.key, DEFINED.value, 7, 0)
    (row,) = rows(PATHWAYS, [made])
    definition = json.loads(str(row.pop("definition")))
    assert [each["id"] for each in definition["activities"]] == ["d", "v"]
    assert (definition["activities"][1]["level"], definition["activities"][0]["data"]) == (1, DATA)
    assert (row["id"], row["name"], row["version"]) == (WAY, "A way", 7)
    assert rows(PATHWAYS, [made, read_change(DEFINED.key, None, 8, 0)]) == []


@pytest.mark.parametrize("table", [name for name in PROJECTIONS if name.startswith("pathway_")])
def test_what_comes_twice_gives_the_same_rows(table: str) -> None:
    projection = PROJECTIONS[table]
    happened = folded(upsert(), did("d", "1", value=1), did("v", "2"), enrol, unenrol)
    sources = [
        source
        for topic in projection.topics
        for source in read(happened, topic)
        if isinstance(source, outputs.Envelope)
        and source.type in {event_type.name for event_type in projection.types}
    ]
    assert sources
    assert by_key(projection, sources * 2) == by_key(projection, sources)
    assert by_key(projection, [*sources, sources[0]]) == by_key(projection, sources)


def by_key(projection: Projection, sources: Iterable[Source]) -> Any:
    """Return the rows by their keys: of facts the first one stays."""
    found = rows(projection, sources)
    keyed = {tuple(row[name] for name in projection.key): row for row in reversed(found)}
    assert projection.newest_by is None or len(keyed) == len(found)
    return keyed


def test_what_was_completed_and_when_one_was_enrolled_are_facts() -> None:
    happened = folded(upsert(), enrol, did("d", "1", value=200), did("v", "2"), unenrol)
    found = rows(PROJECTIONS["pathway_history"], read(happened, PATHWAY_EVENTS))
    told = [(row["change"], row["activity_id"], row["complete"], row["at"]) for row in found]
    assert told == [
        ("enrolled", "", True, MOMENT),
        ("completed", "d", True, DAY),
        ("completed", "v", True, DAY),
        ("unenrolled", "", False, MOMENT),
    ]
    assert [row["sequence"] for row in found] == [1, 2, 3, 4]

"""Which pathway and which activities a text means."""

import pytest

from api.faces.pathways.bodies import LogsQuery
from api.faces.pathways.selection import activities_of, pathway_named
from api.http.problems import Problem
from api.queries.pathway_logs import Activity, Pathway

PATHWAYS = [
    Pathway("EV67", "Become A Store Owner"),
    Pathway("ev67", "Other"),
    Pathway("Other", "EV68"),
    Pathway("X1", "Twice"),
    Pathway("X2", "Twice"),
    Pathway("X3", "ÉCOLE 100%"),
    Pathway("X4", "école 1000"),
    Pathway("X5", 'Strasse "%_"'),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EV67", "EV67"),
        ("ev67", "ev67"),
        ("become a store owner", "EV67"),
        (" Become A Store Owner ", "EV67"),
        ("Other", "Other"),
        ("OTHER", "Other"),
        ("ev68", "Other"),
        ("x2", "X2"),
        ("École 100%", "X3"),
        ("e\u0301cole 100%", "X3"),
        ('straße "%_"', "X5"),
    ],
)
def test_a_pathway_by_id_or_name(text: str, expected: str) -> None:
    assert pathway_named(text, PATHWAYS).id == expected


@pytest.mark.parametrize(
    ("text", "status"),
    [("twice", 400), ("Ev67", 400), ("ecole 100%", 404), ("%", 404), ("École%", 404), ("", 404)],
)
def test_a_text_that_means_none_or_several(text: str, status: int) -> None:
    with pytest.raises(Problem) as refused:
        pathway_named(text, PATHWAYS)
    assert refused.value.status == status


def activity(id_: str, name: str, type_: str) -> Activity:
    return Activity(id_, name, type_, "view", required=True, level=1)


ACTIVITIES = [
    activity("A-1", "Data Tracking", "data"),
    activity("A-2", "Story A", "story"),
    activity("A-3", "Élan 5%", "data checkpoint"),
    activity("A-4", "Story A", "youtube video"),
    activity("story a", "Odd", "my type"),
]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("Data Tracking", "tracked own"),
        ("DATA CHECKPOINTS", "checked"),
        ("data", "plain tracked checked"),
        ("Data Target", "plain tracked checked"),
        ("web activity", "web"),
        ("tracking", ""),
    ],
)
def test_data_is_also_of_the_type_that_it_is_fulfilled_as(types: str, expected: str) -> None:
    activities = [
        Activity(id_, "", type_, fulfilment, required=True, level=1)
        for id_, type_, fulfilment in (
            ("plain", "data", "data"),
            ("tracked", "data", "tracking"),
            ("checked", "data", "checkpoint"),
            ("own", "data tracking", "data"),
            ("web", "web activity", "tracking"),
        )
    ]
    found = activities_of(activities, LogsQuery("x", types=(types,)))
    assert " ".join(each.id for each in found) == expected


@pytest.mark.parametrize(
    ("names", "types", "expected"),
    [
        ((), (), "A-1 A-2 A-3 A-4 story a"),
        (("a-1", "ÉLAN 5%"), (), "A-1 A-3"),
        (("STORY a",), (), "A-2 A-4 story a"),
        (("Story A",), ("Stories",), "A-2"),
        (("Story",), (), ""),
        (("Story _",), (), ""),
        (("%",), (), ""),
        (("",), ("",), ""),
        ((), ("Data Target",), "A-1"),
        ((), ("data",), "A-1"),
        ((), ("Data Checkpoints", "stories", "nothing"), "A-2 A-3"),
        ((), ("YOUTUBE videos",), "A-4"),
        ((), ("My Type",), "story a"),
        ((), ("nothing",), ""),
        (("A-1",), ("story",), ""),
    ],
)
def test_activities_by_id_or_name_and_by_type(
    names: tuple[str, ...], types: tuple[str, ...], expected: str
) -> None:
    found = activities_of(ACTIVITIES, LogsQuery("x", activities=names, types=types))
    assert " ".join(each.id for each in found) == expected

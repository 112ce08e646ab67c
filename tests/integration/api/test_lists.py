"""Lists over rows that are put into the read models here: filters, order, pages, fields."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.api.serving import Served, filters

MEMBERS = "/schema/member/record"
PROJECT = "listed"


@pytest.fixture(scope="module", autouse=True)
def rows(api_without_worker: Served) -> Iterator[None]:
    """Nine members of one project, and one of another."""
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        for number in range(10):
            connection.execute(
                """
                INSERT INTO milestream.members (project, member_id, external_id, city, groups,
                    status, created_at, updated_at, version, sequence)
                VALUES (%(project)s, %(id)s::uuid, %(name)s, %(city)s, %(groups)s, %(status)s,
                    '2026-11-21T00:00:00Z'::timestamptz + %(day)s * interval '1 day',
                    now(), %(number)s, 0)
                """,
                {
                    "project": PROJECT if number < 9 else "another",
                    "id": f"00000000-0000-4000-8000-00000000000{number}",
                    "name": f"m{number}",
                    "city": "Oslo" if number % 2 else None,
                    "groups": ["even", "all"] if number % 2 == 0 else ["all"],
                    "status": "deleted" if number == 8 else "live",
                    "day": number // 2,
                    "number": number,
                },
            )
    yield
    with psycopg.connect(api_without_worker.settings.database_url) as connection:
        connection.execute("DELETE FROM milestream.members")


async def names(api_without_worker: Served, **parameters: Any) -> list[str]:
    """Return the names of the members that a list answers."""
    async with await api_without_worker.client(project=PROJECT) as admin:
        answer = await admin.get(MEMBERS, params=parameters)
    assert answer.status_code == 200, answer.text
    return [member["externalId"] for member in answer.json()["data"]]


async def refused(api_without_worker: Served, **parameters: Any) -> httpx.Response:
    """Return the 400 that a list answers."""
    async with await api_without_worker.client(project=PROJECT) as admin:
        answer = await admin.get(MEMBERS, params=parameters)
    assert answer.status_code == 400, answer.text
    return answer


async def test_the_newest_come_first_and_the_id_breaks_ties(api_without_worker: Served) -> None:
    assert await names(api_without_worker) == ["m7", "m6", "m5", "m4", "m3", "m2", "m1", "m0"]


async def test_pages_do_not_overlap(api_without_worker: Served) -> None:
    sort = json.dumps([{"fieldSlug": "createdAt", "order": "ASC"}])
    pages = [await names(api_without_worker, offset=o, limit=3, sortBy=sort) for o in (0, 3, 6, 9)]
    assert pages == [["m0", "m1", "m2"], ["m3", "m4", "m5"], ["m6", "m7"], []]


async def test_records_without_a_value_come_last(api_without_worker: Served) -> None:
    for order in ("ASC", "DESC"):
        sort = json.dumps([{"fieldSlug": "city", "order": order}])
        assert {*(await names(api_without_worker, sortBy=sort))[:4]} == {"m1", "m3", "m5", "m7"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("externalId", "equals", "m3"), "3"),
        (("externalId", "not_equals", "m3"), "0124567"),
        (("externalId", "in", ["m1", "m2", "nobody"]), "12"),
        (("externalId", "not_in", ["m1", "m2"]), "034567"),
        (("externalId", "contains", "5"), "5"),
        (("externalId", "contains", "%"), ""),
        (("externalId", "less_than", "m2"), "01"),
        (("version", "greater_than_or_equals", 6), "67"),
        (("version", "less_than", 1.5), "01"),
        (("version", "in", [1, 2.0]), "12"),
        (("createdAt", "greater_than", "2026-11-23T00:00:00+00:00"), "67"),
        (("createdAt", "less_than_or_equals", "2026-11-21T01:00:00+01:00"), "01"),
        (("city", "exists", None), "1357"),
        (("city", "not_exists", None), "0246"),
        (("city", "not_equals", "Bergen"), "1357"),
        (("city", "not_in", []), "1357"),
        (("city", "not_in", ["Bergen"]), "1357"),
        (("groups", "contains", "even"), "0246"),
        (("version", "less_than", 10**40), "01234567"),
        (("version", "greater_than", -(10**90)), "01234567"),
        (("version", "not_equals", 0.1234567890123), "01234567"),
        (("id", "equals", "00000000-0000-4000-8000-000000000004"), "4"),
        (("status", "equals", "paused"), ""),
        (("timezone", "contains", "Europe/"), ""),
        (("externalId", "equals", "'; DROP TABLE members; --"), ""),
    ],
)
async def test_a_condition(
    api_without_worker: Served, condition: tuple[str, str, Any], expected: str
) -> None:
    found = await names(api_without_worker, filters=filters(condition))
    assert sorted(found) == [f"m{digit}" for digit in expected]


async def test_conditions_nest(api_without_worker: Served) -> None:
    either = {
        "type": "OR",
        "conditions": [
            {"fieldSlug": "version", "operator": "less_than", "value": 2},
            {"fieldSlug": "version", "operator": "greater_than", "value": 5},
        ],
    }
    in_oslo = {"fieldSlug": "city", "operator": "equals", "value": "Oslo"}
    tree = json.dumps({"type": "AND", "conditions": [either, in_oslo]})
    assert await names(api_without_worker, filters=tree) == ["m7", "m1"]


async def test_the_total_is_counted_where_it_is_wanted(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project=PROJECT) as admin:
        parameters: dict[str, Any] = {"limit": 2, "filters": filters(("groups", "contains", "all"))}
        without = (await admin.get(MEMBERS, params=parameters)).json()
        counted = {**parameters, "fetchTotalCount": "true"}
        with_total = (await admin.get(MEMBERS, params=counted)).json()
    assert without["paging"] == {"offset": 0, "limit": 2, "totalCount": None}
    assert with_total["paging"] == {"offset": 0, "limit": 2, "totalCount": 8}


async def test_only_the_fields_wanted(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project=PROJECT) as admin:
        fields = {"fields": '["city","id"]'}
        page = (await admin.get(MEMBERS, params={**fields, "limit": 1})).json()
        assert page["data"] == [{"id": "00000000-0000-4000-8000-000000000007", "city": "Oslo"}]
        one = await admin.get(f"{MEMBERS}/{page['data'][0]['id']}", params=fields)
        assert one.json() == page["data"][0]


async def test_another_projects_record_is_not_there(api_without_worker: Served) -> None:
    async with await api_without_worker.client(project=PROJECT) as admin:
        answer = await admin.get(f"{MEMBERS}/00000000-0000-4000-8000-000000000009")
        assert answer.status_code == 404
        for nonsense in ("x", "%00", "%F0%9F%98%80", "0" * 5000):
            assert (await admin.get(f"{MEMBERS}/{nonsense}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "1001"), ("limit", "ten"), ("limit", "1e1"), ("limit", ""),
        ("offset", "-1"), ("offset", "9" * 30), ("offset", "1.0"),
        ("sortBy", "createdAt"), ("sortBy", "[]"), ("sortBy", '[{"fieldSlug":"secret"}]'),
        ("sortBy", '[{"fieldSlug":"createdAt","order":"DOWN"}]'), ("sortBy", '[{"order":"ASC"}]'),
        ("fields", "id"), ("fields", '["secret"]'), ("fields", "[]"), ("fields", '[["id"]]'),
        ("fetchTotalCount", "yes"),
        ("filters", "{"), ("filters", "[]"), ("filters", "null"), ("filters", "NaN"),
        ("filters", filters(("sequence", "equals", 0))),
        ("filters", filters(("project", "equals", "another"))),
        ("filters", filters(("externalId", "like", "m"))),
        ("filters", filters(("externalId", "in", "m1"))),
        ("filters", filters(("city", "in", []))),
        ("filters", filters(joiner="OR")),
        ("filters", filters(("status", "equals", "alive"))),
        ("filters", filters(("status", "equals", "deleted"))),  # such a member is not shown
        ("filters", filters(("timezone", "equals", "Europe/Ossining"))),
        ("filters", '{"fieldSlug":"externalId","operator":"equals"}'),
        ("filters", '{"fieldSlug":"version","operator":"equals","value":1e200}'),
        ("filters", filters(("externalId", "equals", "a\x00b"))),
        ("filters", filters(("externalId", "equals", "\ud800"))),
        ("filters", filters(("a", "exists", 1), joiner="XOR")),
        ("filters", filters(("groups", "equals", "all"))),
        ("filters", filters(("externalId", "equals", 1))),
        ("filters", filters(("externalId", "not_equals", None))),
        ("filters", filters(("externalId", "not_in", ["m1", 2]))),
        ("filters", filters(("version", "equals", "1"))),
        ("filters", filters(("version", "not_equals", True))),
        ("filters", filters(("createdAt", "less_than", "2026-11-21"))),
        ("filters", filters(("id", "equals", "x"))),
        ("filters", '{"type":"AND","conditions":' * 6 + "[]" + "}" * 6),
        ("filters", '{"type":"AND","conditions":[' * 500),
        ("filters", filters(*[("city", "exists", None)] * 51)),
    ],
)  # fmt: skip
async def test_a_bad_parameter_is_named(api_without_worker: Served, name: str, value: str) -> None:
    answer = await refused(api_without_worker, **{name: value})
    assert [error["field"] for error in answer.json()["errors"]] == [name]

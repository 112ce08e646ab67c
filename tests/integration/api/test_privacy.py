"""Export and forget: all that is held of a member, and what is left of one that is forgotten."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.auth.credentials import Role
from api.queries.exports import SECTIONS
from schemas import ids
from tests.integration.api.serving import PROJECT, Served, run
from tests.integration.projections.driving import caught_up, query

PERSONAL = {
    "firstName": "Annabel",
    "lastName": "Leewater",
    "email": "annabel.leewater@example.org",
    "phoneNumber": "+14155552671",
    "city": "Oaktown",
    "groups": ["gold"],
    "attributes": {"plan": "plus", "children": 2.5},
}
EVENT = {"title": "Visit", "type": "FIXED", "reward": {"default": 5}}


async def made(admin: httpx.AsyncClient, user: str) -> str:
    """Make a member that did this and that; return its id."""
    assert (await admin.put("/definitions/event/visit", json=EVENT)).status_code < 300
    answer = await admin.post("/schema/member/record", json={"externalId": user, **PERSONAL})
    assert answer.status_code == 201, answer.text
    body = {"points": 100, "uniqueIdentifier": "opening", "reason": "opening balance"}
    await good(admin.post(f"/user/{user}/adjust", json=body))
    await good(admin.post(f"/user/{user}/spend", json={"points": 30, "uniqueIdentifier": "mug"}))
    visit = {"eventId": "visit", "userId": user, "metadata": {"n": 1e2}}
    await good(admin.post("/event", json=visit, headers={"x-forwarded-for": "192.0.2.7"}))
    return ids.member_id(PROJECT, user)


async def good(call: Any) -> Any:
    """Return the answer of a call that is good."""
    answer = await call
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_export_has_all_that_is_held(admin: httpx.AsyncClient) -> None:
    member_id = await made(admin, "exported")
    await made(admin, "somebody else")
    answer = await admin.get("/user/exported/export")
    found = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert found.keys() == {"member", *SECTIONS}
    profile = {"id": member_id, "externalId": "exported", **PERSONAL}
    assert found["member"].items() >= profile.items()
    assert found["member"]["createdAt"].endswith("Z")
    assert b"somebody" not in answer.content
    assert [entry["points"] for entry in found["pointsLedger"]] == [100, -30, 5]
    (event,) = found["events"]
    assert event["metadata"] == {"n": 100}
    assert {entry["ip"] for entry in found["pointsLedger"]} == {None, event["ip"]}
    assert found["pointsTotals"] == [{"balance": 75, **_kept(found["pointsTotals"][0])}]
    for rows in (found[name] for name in SECTIONS):
        assert not any({"project", "memberId", "sequence", "place"} & row.keys() for row in rows)


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "balance"}


async def test_a_forgotten_member_is_not_there_and_what_it_has_is(
    admin: httpx.AsyncClient, full_stack: Served
) -> None:
    member_id = await made(admin, "left")
    first = await good(admin.post("/v1/user/left/forget"))
    assert first.keys() == {"userId", "memberId", "forgottenAt"}
    assert (first["userId"], first["memberId"]) == ("left", member_id)
    assert await good(admin.post("/user/left/forget")) == first
    for path in (
        *(f"/user/left/{what}" for what in ("export", "points", "rank", "challenge", "streak")),
        f"/schema/member/record/{member_id}",
    ):
        assert (await admin.get(path)).status_code == 404, path
    spent = await admin.post("/user/left/spend", json={"points": 1, "uniqueIdentifier": "late"})
    assert (spent.status_code, spent.json()["code"]) == (404, "unknown_member")
    await caught_up(full_stack.settings)
    for table in ("members", "pathway_profiles"):
        assert _rows(full_stack, "*", table, member_id) == []
    assert _rows(full_stack, "balance", "points_totals", member_id) == [(75,)]
    for table in ("event_log", "points_ledger"):
        assert {ip for (ip,) in _rows(full_stack, "ip", table, member_id)} == {None}


def _rows(stack: Served, columns: str, table: str, member_id: str) -> list[tuple[Any, ...]]:
    text = f"SELECT {columns} FROM milestream.{table} WHERE member_id = %s"
    return query(stack.settings, text, member_id)


async def test_who_comes_back_begins_without_names(admin: httpx.AsyncClient) -> None:
    await made(admin, "returned")
    await good(admin.post("/user/returned/forget"))
    back = await admin.post("/schema/member/record", json={"externalId": "returned", "city": "Ulm"})
    assert back.status_code == 201
    found = back.json()
    assert (found["city"], found["email"], found["groups"]) == ("Ulm", None, [])
    assert (await good(admin.get("/user/returned/points")))["points"] == 75
    mug = {"points": 30, "uniqueIdentifier": "mug"}
    assert (await good(admin.post("/user/returned/spend", json=mug)))["balance"] == 70  # as then
    again = await good(admin.post("/user/returned/forget"))
    assert again["memberId"] == ids.member_id(PROJECT, "returned")


@pytest.mark.parametrize("user", ["nobody", "a/b ü?", "x" * 300])
async def test_nobody_is_exported_or_forgotten_who_is_not_known(
    admin: httpx.AsyncClient, user: str
) -> None:
    path = f"/user/{quote(user, safe='')}"
    exported, forgotten = await admin.get(f"{path}/export"), await admin.post(f"{path}/forget")
    assert (exported.status_code, forgotten.status_code) == (404, 404)
    assert exported.json().keys() == {"statusCode", "message"}
    assert forgotten.json()["code"] == "unknown_member"


async def test_only_an_admin_exports_and_forgets(
    admin: httpx.AsyncClient, full_stack: Served
) -> None:
    await made(admin, "guarded")
    for client in (
        await full_stack.client(Role.PRODUCER),
        await full_stack.client(Role.ANALYST),
        await full_stack.end_user("guarded"),
    ):
        async with client:
            assert (await client.get("/user/guarded/export")).status_code == 403
            assert (await client.post("/user/guarded/forget")).status_code == 403
    async with await full_stack.end_user("boss", role="admin") as boss:
        assert (await boss.get("/user/guarded/export")).status_code == 200
        refused = await boss.post("/user/guarded/forget?dryRun=true")
        assert (refused.status_code, refused.json()["code"]) == (400, "dry_run_unsupported")
        refused = await boss.post("/user/guarded/forget", json={"from": "2026-01-01"})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
        assert (await boss.get("/user/guarded/export")).status_code == 200
        assert (await boss.post("/user/guarded/forget")).status_code == 200


async def test_a_deleted_member_is_exported_and_forgotten(admin: httpx.AsyncClient) -> None:
    member_id = await made(admin, "deleted")
    assert (await admin.delete(f"/schema/member/record/{member_id}")).status_code == 204
    found = await good(admin.get("/user/deleted/export"))
    assert (found["member"]["status"], found["member"]["email"]) == ("deleted", None)
    assert (await admin.post("/user/deleted/forget")).status_code == 200
    assert (await admin.get("/user/deleted/export")).status_code == 404


async def test_the_commands_do_the_same(admin: httpx.AsyncClient, full_stack: Served) -> None:
    await made(admin, "typed")
    whose = ("--project", PROJECT, "--user", "typed")
    exported = run(full_stack.settings, "export-member", *whose)
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout) == await good(admin.get("/user/typed/export"))
    forgotten = run(full_stack.settings, "forget-member", *whose)
    assert forgotten.returncode == 0, forgotten.stderr
    assert json.loads(forgotten.stdout) == await good(admin.post("/user/typed/forget"))
    for command in ("export-member", "forget-member"):
        unknown = run(full_stack.settings, command, "--project", PROJECT, "--user", "nobody")
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr == f"milestream: project {PROJECT} has no member 'nobody'\n"
        assert run(full_stack.settings, command, "--project", "A", "--user", "b").returncode == 2

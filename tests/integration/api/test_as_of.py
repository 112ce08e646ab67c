"""`?asOf=` answers what the same read answered then; and the history of definitions."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest_asyncio

from schemas import ids
from tests.integration.api.serving import Served, filters, let_the_hour_begin, passed, run
from tests.integration.projections.driving import query

PROJECT = "then"
CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0cae01"
MILESTONE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0cae02"
TIERS = [{"id": "bronze", "name": "Bronze", "threshold": 0}]
SILVER = {"id": "silver", "name": "Silver", "threshold": 10}
DEFINITIONS: dict[str, dict[str, Any]] = {
    f"challenge/{CHALLENGE}": {
        "name": "Walk",
        "completionTargetValue": 100,
        "aggregationPeriod": "all_time",
        "pointsOnCompletion": 7,
        "challengeGroup": "shop",
    },
    f"milestone/{MILESTONE}": {
        "name": "Half",
        "linkedSchemaRecordId": CHALLENGE,
        "milestoneTargetValue": 50,
        "points": 3,
    },
    "event/buy": {"title": "Buy", "reward": {"default": 10}, "challengeGroup": "shop"},
    "event/wait": {"title": "Wait", "reward": {"default": 4}, "challengeGroup": "slow"},
    "event/plain": {"title": "Plain", "reward": {"default": 1}},
    "wallet/shop": {"name": "Shop", "expiry": {"type": "rolling", "after": "P6M"}},
    "wallet/slow": {"name": "Slow", "pendingFor": "P14D"},
    "streak/weekly": {"eventIds": ["buy", "plain"], "period": "weekly", "targetLength": 2},
    "tier-set/earned": {"name": "E", "basis": {"type": "earned"}, "tiers": [*TIERS, SILVER]},
    "tier-set/kept": {
        "name": "K",
        "basis": {"type": "balance", "wallet": "shop"},
        "downgrade": "to_basis",
        "tiers": [*TIERS, SILVER],
    },
    "tier-set/walked": {
        "name": "W",
        "basis": {"type": "progress", "challengeId": CHALLENGE},
        "tiers": [*TIERS, {**SILVER, "threshold": 60}],
    },
}
USERS = ("ann", "ben")


@pytest_asyncio.fixture
async def admin(full_stack: Served) -> Any:
    """A client with role admin in a project of its own."""
    async with await full_stack.client(project=PROJECT) as client:
        yield client


def member(user: str) -> str:
    return ids.member_id(PROJECT, user)


class Told:
    """What a project's reads say at one moment: status and JSON of each."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def at(self, moment: datetime | None = None) -> dict[str, tuple[int, Any]]:
        """Ask all reads, as of a moment or now."""
        told = {}
        for path, parameters in self._reads():
            then = {} if moment is None else {"asOf": moment.isoformat()}
            answer = await self._client.get(path, params={**parameters, **then})
            body = answer.json() if answer.status_code == 200 else answer.status_code
            told[path + json.dumps(parameters)] = (answer.status_code, body)
        return told

    def _reads(self) -> list[tuple[str, dict[str, str]]]:
        progress = "/schema/challenge_progress/record"
        reads: list[tuple[str, dict[str, str]]] = [
            (progress, {"fetchTotalCount": "true"}),
            (
                progress,
                {
                    "filters": filters(("challengeProgressStatus", "equals", "completed")),
                    "sortBy": '[{"fieldSlug":"currentProgressValue","order":"DESC"}]',
                    "fields": '["id","currentProgressValue"]',
                },
            ),
        ]
        for user in USERS:
            id_ = ids.progress_id(PROJECT, CHALLENGE, member(user), "all")
            reads.append((f"{progress}/{id_}", {}))
            reads += [(f"/user/{user}/{what}", {}) for what in ("points", "streak", "tier")]
        return reads


def steps(client: httpx.AsyncClient) -> list[Callable[[], Awaitable[httpx.Response]]]:
    """Return what happens, one thing after the other."""
    number = iter(range(1000))

    def log(user: str, value: int) -> Callable[[], Awaitable[httpx.Response]]:
        body = {
            "challengeId": CHALLENGE,
            "ownedById": member(user),
            "activityAt": datetime.now(UTC).isoformat(),
            "activityId": "walk",
            "uniqueIdentifier": f"log-{next(number)}",
            "activityValue": value,
        }
        return lambda: client.post("/schema/challenge_log/record", json=body)

    def event(user: str, id_: str) -> Callable[[], Awaitable[httpx.Response]]:
        body = {"eventId": id_, "userId": user, "idempotencyKey": f"event-{next(number)}"}
        return lambda: client.post("/event", json=body)

    def move(user: str, call: str, **body: Any) -> Callable[[], Awaitable[httpx.Response]]:
        body = {"uniqueIdentifier": f"move-{next(number)}", "reason": "so", **body}
        return lambda: client.post(f"/user/{user}/{call}", json=body)

    def define(path: str, **changed: Any) -> Callable[[], Awaitable[httpx.Response]]:
        body = {**DEFINITIONS[path], **changed}
        return lambda: client.put(f"/definitions/{path}", json=body)

    def voided(user: str, what: str, of: dict[str, Any]) -> Any:
        return move(user, "void", what=what, of=of)

    return [
        lambda: client.post("/schema/member/record", json={"externalId": "ann"}),
        log("ann", 30),
        event("ann", "buy"),
        lambda: client.post("/schema/member/record", json={"externalId": "ben"}),
        log("ann", 30),
        log("ben", 100),
        event("ann", "wait"),
        event("ann", "plain"),
        move("ann", "hold", points=5, challengeGroup="shop", uniqueIdentifier="h"),
        event("ben", "buy"),
        move("ann", "spend", points=4, challengeGroup="shop", uniqueIdentifier="mug"),
        move("ann", "hold/h/capture", points=3),
        define("tier-set/earned", name="E2", tiers=[*TIERS, {**SILVER, "threshold": 20}]),
        log("ann", 45),
        voided("ann", "challenge_log", {"challengeId": CHALLENGE, "uniqueIdentifier": "log-2"}),
        voided("ann", "event", {"idempotencyKey": "event-1"}),
        move("ann", "adjust", points=50, challengeGroup="shop"),
        move("ann", "tier", tierSetId="kept", tierId="silver"),
        voided("ann", "spend", {"uniqueIdentifier": "mug"}),
        lambda: client.delete("/definitions/tier-set/walked"),
        move("ben", "spend", points=10, challengeGroup="shop"),
        event("ben", "plain"),
    ]


async def test_every_read_answers_as_it_did_then(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    let_the_hour_begin()
    for path, fields in DEFINITIONS.items():
        made = await admin.put(f"/definitions/{path}", json=fields)
        assert made.status_code == 201, made.text
    told = Told(admin)
    history = [(await passed(), await told.at())]
    for step in steps(admin):
        answer = await step()
        assert answer.status_code < 300, answer.text
        then = await told.at()
        history.append((await passed(), then))
    assert history[0][1].values() != history[-1][1].values()
    seen = [then for _, then in history]
    assert sum(before != after for before, after in pairwise(seen)) > 15
    for number, (moment, then) in enumerate(history):
        assert await told.at(moment) == then, f"after step {number}"

    before_all = datetime(1950, 1, 1, tzinfo=UTC)
    assert await told.at(before_all) == history[0][1]
    assert history[0][1]["/user/ann/points{}"] == (404, 404)

    # Of whom it is, and what is no moment.
    late = {"asOf": (await passed()).isoformat()}
    async with (
        await full_stack.end_user("ann", PROJECT) as ann,
        await full_stack.client(project="elsewhere") as stranger,
    ):
        for what in ("points", "streak", "tier"):
            own = await ann.get(f"/user/ann/{what}", params=late)
            assert own.json() == history[-1][1][f"/user/ann/{what}{{}}"][1]
            assert (await ann.get(f"/user/ben/{what}", params=late)).status_code == 403
            assert (await stranger.get(f"/user/ann/{what}", params=late)).status_code == 404
        listed = await stranger.get("/schema/challenge_progress/record", params=late)
        assert listed.json()["data"] == []
        future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        for wrong in ("2026-11-21T10:30:00", "yesterday", future, ""):
            for path in ("/user/ann/points", "/user/ann/streak", "/user/ann/tier",
                         "/schema/challenge_progress/record",
                         f"/schema/challenge_progress/record/{CHALLENGE}"):  # fmt: skip
                refused = await admin.get(path, params={"asOf": wrong})
                assert refused.status_code == 400, (path, wrong)
                assert "asOf" in refused.text
        elsewhere = await admin.get("/schema/challenge_log/record", params=late)
        assert elsewhere.status_code == 400, "only progress is asked about"

    # The tables made anew say the same, and rows of before there were places are refused.
    settings = full_stack.settings
    query(settings, "UPDATE milestream.members SET first_place = NULL WHERE project = 'then' "
          "RETURNING true")  # fmt: skip
    for table in ("challenge_logs", "points_ledger", "tier_history"):
        query(settings, f"UPDATE milestream.{table} SET place = NULL WHERE project = 'then' "
              "RETURNING true")  # fmt: skip
    moment, then = history[15]
    for path in ("/user/ann/points", "/user/ann/tier", "/schema/challenge_progress/record"):
        lacking = await admin.get(path, params={"asOf": moment.isoformat()})
        assert lacking.status_code == 503, path
        assert "milestream rebuild" in lacking.text
    rebuilt = await asyncio.to_thread(
        run, settings, "rebuild", "members", "challenge_logs", "challenge_progress",
        "challenge_progress_history", "points_ledger", "points_history", "tier_history",
        "streak_history", "definition_history",
    )  # fmt: skip
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert await told.at(moment) == then
    assert (await admin.delete(f"/schema/member/record/{member('ann')}")).status_code == 204
    gone = await admin.get("/user/ann/points", params={"asOf": moment.isoformat()})
    assert gone.status_code == 404, "who was deleted is not shown as of then"


async def test_every_version_of_a_definition_is_kept_with_who_wrote_it(
    full_stack: Served,
) -> None:
    project = "written"
    fields = {"name": "Spend", "completionTargetValue": 0.10}
    async with await full_stack.client(project=project) as admin:
        made = await admin.post(
            "/schema/challenge/record", json=fields, headers=[(b"x-actor", "zoë".encode())]
        )
        assert made.status_code == 201, made.text
        id_ = made.json()["id"]
        path = f"/definitions/challenge/{id_}"
        await admin.put(path, json=fields, headers={"x-actor": "nobody: it is unchanged"})
        await admin.put(path, json={**fields, "name": "Spend more"})
        document = json.dumps({"kind": "challenge", "id": id_, "project": project, **fields})
        applied = await asyncio.to_thread(
            run, full_stack.settings, "apply", "--actor", "ci@acme", "-f", "-", stdin=document
        )
        assert applied.stdout.startswith("changed"), applied.stderr
        assert (await admin.delete(path, headers={"x-actor": "root"})).status_code == 204
        refused = await admin.put(path, json=fields, headers={"x-actor": "a" * 129})
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == "x-actor"
        # A read of the definitions waits for the projection, which writes all their tables at once.
        assert (await admin.get(f"/schema/challenge/record/{id_}")).status_code == 404
    rows = query(
        full_stack.settings,
        "SELECT actor, definition ->> 'name', definition -> 'completionTargetValue', "
        "version > lag(version, 1, -1::bigint) OVER (ORDER BY version), at <= now() "
        f"FROM milestream.definition_history WHERE project = '{project}' ORDER BY version",
    )
    assert [row[:2] for row in rows] == [
        ("zoë", "Spend"),
        (None, "Spend more"),
        ("ci@acme", "Spend"),
        ("root", None),
    ]
    assert {str(row[2]) for row in rows[:3]} == {"0.1"}
    assert all(row[3] and row[4] for row in rows)
    wrong = await asyncio.to_thread(
        run, full_stack.settings, "apply", "--actor", "", "-f", "-", stdin=document
    )
    assert wrong.returncode == 2

"""Who gets in on the events face, and what everybody else is told."""

import base64
import json
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.integration.api.serving import PATIENCE_SECONDS, PROJECT, Served

PATHS = (
    "/event", "/v1/event", "/event/", "/event/x", "/analytics/streak", "/stats/event",
    "/leaderboard", "/user/ann/rank", "/user/ann/points", "/user/ann/challenge", "/user/ann/streak",
    "/user/ann/nothing", "/stats/nothing",
)  # fmt: skip


def unsigned(**claims: Any) -> str:
    """Return a token with `alg: none`."""
    payload = {"sub": "ann", "aud": PROJECT, "exp": int(time.time()) + 60, **claims}
    return jwt.encode(payload, "", algorithm="none")


def assert_refused(answer: httpx.Response, status: int) -> str:
    """Check the shape of a refusal; return its message."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"statusCode", "message"}
    assert body["statusCode"] == status
    assert answer.headers["x-request-id"]
    return str(body["message"])


@pytest.mark.parametrize("path", PATHS)
async def test_guests_are_turned_away_everywhere(api_without_worker: Served, path: str) -> None:
    async with api_without_worker.guest() as guest:
        answer = await guest.get(path)
        assert assert_refused(answer, 401) == "A valid JWT Bearer token is required, or an API key."
        assert answer.headers["www-authenticate"] == 'Bearer realm="milestream"'
        posted = await guest.post("/event", json={})
        assert_refused(posted, 401)


async def test_every_bad_token_has_its_own_message(api_without_worker: Served) -> None:
    now = int(time.time())
    other = await api_without_worker.token("ann", "other-project")
    good = await api_without_worker.token("ann")
    tokens = {
        "alg none": unsigned(),
        "expired": await api_without_worker.token("ann", exp=now - 3600),
        "not yet": await api_without_worker.token("ann", nbf=now + 3600),
        "no exp": await api_without_worker.token("ann", exp=None),
        "no sub": await api_without_worker.token("ann", sub=None),
        "no aud": await api_without_worker.token("ann", aud=None),
        "a list": await api_without_worker.token("ann", aud=[PROJECT]),
        "unknown project": await api_without_worker.token("ann", aud="never-heard-of"),
        "signed by another project": await api_without_worker.token(
            "ann", "other-project", aud=PROJECT
        ),
        "changed": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "no token": "x.y.z",
        "no dots": "x",
    }
    said: dict[str, str] = {}
    for name, token in tokens.items():
        for headers in ({"authorization": f"Bearer {token}"}, {"x-enduser-access-token": token}):
            async with httpx.AsyncClient(
                base_url=api_without_worker.url, headers=headers, timeout=PATIENCE_SECONDS
            ) as client:
                said[name] = assert_refused(await client.get("/event"), 401)
                body = {"eventId": "e", "userId": "ann"}
                assert_refused(await client.post("/v2/event", json=body), 401)
    assert "expired" in said["expired"]
    assert "not valid yet" in said["not yet"]
    assert "has no exp" in said["no exp"]
    assert len({said[name] for name in ("alg none", "expired", "not yet", "no exp", "a list")}) == 5
    async with httpx.AsyncClient(
        base_url=api_without_worker.url,
        headers={"authorization": f"Bearer {other}"},
        timeout=PATIENCE_SECONDS,
    ) as client:
        assert (await client.get("/event")).status_code == 204  # good, for a project without events


async def test_a_token_may_come_in_either_header(api_without_worker: Served) -> None:
    token = await api_without_worker.token("ann", "tokens")
    async with api_without_worker.guest() as guest:
        for headers in ({"authorization": f"bearer {token}"}, {"x-enduser-access-token": token}):
            assert (await guest.get("/event", headers=headers)).status_code == 204


async def test_bad_keys_are_401(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    wrong = base64.b64encode(f"{key.key_id}:wrong".encode()).decode()
    async with api_without_worker.guest() as guest:
        for headers in (
            {"x-api-key": key.key_id, "x-api-secret": "wrong"},
            {"x-api-key": key.key_id},
            {"authorization": f"Basic {wrong}"},
            {"authorization": "Basic !!!"},
        ):
            assert_refused(await guest.get("/event", headers=headers), 401)
        good = base64.b64encode(f"{key.key_id}:{key.secret}".encode()).decode()
        answer = await guest.get("/stats/event", headers={"authorization": f"Basic {good}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["rank", "points", "challenge", "streak"])
async def test_an_end_user_sees_only_itself_and_403_comes_before_404(
    api_without_worker: Served, path: str
) -> None:
    async with await api_without_worker.end_user("ann") as ann:
        assert_refused(await ann.get(f"/user/bob/{path}"), 403)
        message = assert_refused(await ann.get(f"/v3/user/ann/{path}"), 404)
        assert message == "The user 'ann' could not be found in the project."
    async with await api_without_worker.end_user("boss", role="admin") as boss:
        assert_refused(await boss.get(f"/user/bob/{path}"), 404)


async def test_the_own_user_rule_comes_before_anything_is_looked_up(
    api_without_worker: Served,
) -> None:
    async with await api_without_worker.end_user("ann") as ann:
        body = {"eventId": "there-is-none", "userId": "bob"}
        assert assert_refused(await ann.post("/event", json=body), 403).startswith("userId: ")
        timed = {"eventId": "x", "userId": "ann", "occurredAt": "2026-01-01T00:00:00Z"}
        assert assert_refused(await ann.post("/event", json=timed), 403).startswith("occurredAt: ")


async def test_no_answer_in_time_is_a_202_with_the_id(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        body = {"eventId": "e", "userId": "ann", "idempotencyKey": "k"}
        first = await admin.post("/event", json=body)
        second = await admin.post("/event", json=body)
    assert first.status_code == 202
    assert first.headers["idempotency-key"] == "k"
    assert set(first.json()) == {"statusCode", "message", "id", "data"}
    assert first.json()["statusCode"] == 202
    assert first.json() == second.json()
    assert first.json()["data"] == {"id": first.json()["id"]}
    assert len(first.json()["id"]) == 36


async def test_the_published_400s(api_without_worker: Served) -> None:
    async with await api_without_worker.client() as admin:
        assert assert_refused(await admin.get("/v1/event/"), 400) == "eventId: is missing"
        assert assert_refused(await admin.get("/analytics/streak"), 400) == "streakId: is missing"
        for path in (
            "/analytics/streak?streakId=",
            "/stats/event?eventId=%00",
            "/stats/event?period=8d",
            "/stats/event?timeframe=month&month=2025-13",
            "/event?showAll=yes",
            "/leaderboard?limit=0",
            "/leaderboard?limit=1001",
            "/leaderboard?limit=x",
            "/leaderboard?month=2025-13",
            "/leaderboard?groupId=%00",
            "/leaderboard?month=2025-08&timeframe=7d",
            "/leaderboard?timeframe=8d",
            f"/stats/event?eventId={'x' * 257}",
        ):
            assert_refused(await admin.get(path), 400)
        for raw in (b"", b"{", b"[]", b'"x"', b"\xff"):
            assert_refused(await admin.post("/event", content=raw), 400)
        assert "eventId" in assert_refused(await admin.post("/event", json={"userId": "u"}), 400)
        assert "userId" in assert_refused(await admin.post("/event", json={"eventId": "e"}), 400)
        assert_refused(await admin.get("/event/unknown"), 404)
        assert_refused(await admin.get("/event/%00"), 404)
        assert_refused(await admin.get("/user/a%00b/points"), 404)
        assert_refused(await admin.get("/stats/unknown"), 404)
        assert_refused(await admin.delete("/v1/event"), 405)
        large = json.dumps({"eventId": "e", "userId": "u", "metadata": {"x": "y" * 2**20}})
        assert_refused(await admin.post("/event", content=large), 413)

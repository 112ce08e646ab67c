"""Limits of projects over HTTP, on every face, and over several processes."""

import asyncio
import json
import os
import socket
import time
import uuid
from typing import Any

import httpx
import pytest
from psycopg import AsyncConnection

from api.auth.credentials import Role
from api.auth.quotas import Quotas, caller_of
from api.http.problems import Problem
from api.queries import budgets
from api.resources import connection_pool
from projections.database import connect
from tests.integration.api.serving import PATIENCE_SECONDS, Served, run

LOGS = "/schema/challenge_log/record"


async def limited(api: Served, **limits: int) -> str:
    """Return a new project that has these limits, once they are in force."""
    project = f"p-{uuid.uuid4().hex[:12]}"
    async with await api.client(project=project) as admin:
        put = await admin.put(f"/definitions/project/{project}", json={"limits": limits})
        assert put.status_code == 201, put.text
    return project


async def refused(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> Any:
    """Return the first answer that says no, of many requests at once; do not wait for the others,
    for what passes may wait for a worker that is not there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        asked = [asyncio.create_task(client.request(method, path, **request)) for _ in range(10)]
        try:
            for answered in asyncio.as_completed(asked):
                answer = await answered
                if "retry-after" in answer.headers:
                    return answer
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
    raise AssertionError("nothing was refused")


def is_described(answer: httpx.Response) -> bool:
    """Tell whether a refusal says what is allowed and when to come back."""
    headers = answer.headers
    return (
        int(headers["retry-after"]) >= 1
        and headers["ratelimit-limit"] == "2"
        and headers["ratelimit-remaining"] == "0"
        and headers["ratelimit"].startswith('"requests";r=0;t=')
        and headers["ratelimit-policy"] == '"requests";q=2;w=2'
    )


async def test_a_key_that_calls_too_often_is_refused_on_every_face(
    api_without_worker: Served,
) -> None:
    project = await limited(api_without_worker, requestsPerSecond=1)
    async with (
        await api_without_worker.client(project=project) as admin,
        await api_without_worker.client() as other,
    ):
        answer = await refused(admin, "GET", LOGS)
        assert answer.status_code == 429
        assert answer.json()["code"] == "rate_limited"
        assert is_described(answer)
        answer = await refused(admin, "GET", "/event/x")
        assert (answer.status_code, answer.json()["statusCode"]) == (429, 429)
        assert is_described(answer)
        answer = await refused(admin, "POST", "/v1/logs/pathway-logs", json={"pathway": "x"})
        assert (answer.status_code, answer.json()["status"]) == (429, "error")
        assert is_described(answer)
        for _ in range(5):  # another project has no limit; each waits a second for the projection
            answers = await asyncio.gather(*(other.get(LOGS) for _ in range(10)))
            assert {answer.status_code for answer in answers} == {200}
    key = await api_without_worker.key(project=project)
    called = {"apiKey": key.key_id, "secret": key.secret, "UID": "ann"}
    async with api_without_worker.guest() as guest:
        answer = await refused(guest, "GET", "/gm.getActionsLog", params=called)
        assert (answer.status_code, answer.json()["errorCode"]) == (200, 403048)
        assert is_described(answer)
        answer = await refused(
            guest, "GET", "/gm.getActionsLog", params=called | {"httpStatusCodes": "true"}
        )
        assert answer.status_code == 403


async def test_an_end_user_that_calls_too_often_is_refused(api_without_worker: Served) -> None:
    project = await limited(api_without_worker, userRequestsPerSecond=1)
    async with (
        await api_without_worker.end_user("ann", project) as ann,
        await api_without_worker.end_user("ben", project) as ben,
        await api_without_worker.client(project=project) as admin,
    ):
        assert is_described(await refused(ann, "GET", "/event/x"))
        assert (await ben.get("/event/x")).status_code == 404
        for _ in range(50):
            assert (await admin.get("/event/x")).status_code == 404


async def test_without_a_definition_an_end_user_has_forty_at_once(
    api_without_worker: Served,
) -> None:
    async with await api_without_worker.end_user("ann", "unlimited-by-hand") as ann:
        answer = await refused(ann, "GET", "/event/x")
    assert answer.headers["ratelimit-policy"] == '"requests";q=40;w=2'


async def test_what_processes_let_pass_is_added_up(api_without_worker: Served) -> None:
    one, two = Quotas(), Quotas()
    caller = caller_of("acme", None, str(uuid.uuid4()))
    async with await AsyncConnection.connect(
        api_without_worker.settings.database_url
    ) as connection:
        for quotas in (one, two):
            for _ in range(1000):
                quotas.take(caller, 1, 1000, 0.0)
        one.settle(await budgets.spend(connection, one.busy()))
        left = await budgets.spend(connection, two.busy())
        two.settle(left)
        assert -1000 <= left[caller] < -900  # as slow as the machine may be
        await connection.rollback()
    for quotas, now in ((two, 500.0), (one, 0.5)):
        with pytest.raises(Problem, match="Too many requests"):
            quotas.take(caller, 1, 1000, now)


async def test_definitions_that_are_written_at_once_are_counted_too(
    api_without_worker: Served,
) -> None:
    project = await limited(api_without_worker, definitionsPerKind=2)
    defined: dict[str, Any] = {"title": "E", "reward": {"default": 1}}
    async with await api_without_worker.client(project=project) as admin:
        for attempt in range(5):  # of few, whatever order they are sent in
            puts = [admin.put(f"/definitions/event/{attempt}-{n}", json=defined) for n in range(6)]
            answers = await asyncio.gather(*puts)
            taken = [answer for answer in answers if answer.status_code == 201]
            assert len(taken) == 2, [answer.text for answer in answers]
            for answer in taken:
                removed = await admin.delete(f"/definitions/event/{answer.json()['id']}")
                assert removed.status_code == 204


async def test_sizes_counts_and_tokens_are_limited(api_without_worker: Served) -> None:
    limits = {"metadataBytes": 200, "userMetadataBytes": 100, "definitionsPerKind": 2}
    limits |= {"definitionBytes": 1_500}
    project = await limited(api_without_worker, tokenDays=2, **limits)
    event = {"eventId": "buy", "userId": "ann"}
    defined: dict[str, Any] = {"title": "E", "reward": {"default": 1}}
    async with (
        await api_without_worker.client(project=project) as admin,
        await api_without_worker.end_user("ann", project) as ann,
    ):
        for client, most in ((admin, 200), (ann, 100)):
            body = event | {"metadata": {"text": "x" * (most - 10)}}
            answer = await client.post("/event", json=body)
            assert answer.status_code == 413
            assert answer.json()["message"] == f"metadata: may have at most {most} bytes"
        for number in range(2):
            put = await admin.put(f"/definitions/event/e{number}", json=defined)
            assert put.status_code == 201, put.text
        put = await admin.put("/definitions/event/e2", json=defined)
        assert (put.status_code, put.json()["code"]) == (409, "too_many_definitions")
        assert (
            await admin.put("/definitions/event/e1", json=defined | {"title": "F"})
        ).status_code == 200
        assert (await admin.delete("/definitions/event/e1")).status_code == 204
        assert (await admin.put("/definitions/event/e2", json=defined)).status_code == 201
        streak = {"targetLength": 7, "eventIds": ["x" * 200] * 5}
        full = await admin.put("/definitions/streak/s", json=streak)
        assert (full.status_code, full.json()["code"]) == (409, "too_many_definition_bytes")
        assert "(limits.definitionBytes)" in full.json()["detail"]
        made = await admin.put("/definitions/streak/s", json=streak | {"eventIds": ["x"]})
        assert made.status_code == 201, made.text
    now = int(time.time())
    for days, status in ((1.9, 404), (2.1, 401), (40, 401), (1e9, 401)):
        token = await api_without_worker.token("ann", project, exp=now + int(days * 86_400))
        async with api_without_worker.guest() as guest:
            answer = await guest.get("/event/x", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status, days


async def test_limits_are_checked_as_definitions_are(api_without_worker: Served) -> None:
    async with await api_without_worker.client(Role.ADMIN) as admin:
        for limits in (
            {"requestsPerSecond": -1},
            {"requestsPerSecond": 1.5},
            {"tokenDays": 0},
            {"metadataBytes": "1"},
            {"perSecond": 1},
        ):
            put = await admin.put("/definitions/project/acme", json={"limits": limits})
            assert put.status_code == 400
            assert put.json()["errors"][0]["field"].startswith("limits.")


async def test_commands_hold_limits_too(api_without_worker: Served) -> None:
    project = await limited(api_without_worker, definitionsPerKind=2, tokenDays=2)

    def events(*names: str) -> str:
        defined = {"kind": "event", "project": project, "title": "E", "reward": {"default": 1}}
        return json.dumps([defined | {"id": name} for name in names])

    def apply(text: str) -> Any:
        return run(api_without_worker.settings, "apply", "-f", "-", stdin=text)

    refused = apply(events("e1", "e2", "e3"))
    assert refused.returncode == 1
    assert "nothing was written" in refused.stderr
    assert "would have 3 definitions of kind event, and may have 2" in refused.stderr
    assert apply(events("e1", "e2")).returncode == 0
    assert apply(events("e1", "e2").replace('"E"', '"F"')).returncode == 0
    assert apply(events("e3")).returncode == 1
    limits = {"definitionsPerKind": 2, "tokenDays": 2, "definitionBytes": 1_500}
    full = [{"kind": "project", "id": project, "limits": limits}, *json.loads(events("e1"))]
    refused = apply(json.dumps([full[1] | {"description": "x" * 1_000}, full[0]]))
    assert refused.returncode == 1
    assert f"document 1: the definitions of project {project} would have" in refused.stderr
    assert "(limits.definitionBytes)" in refused.stderr
    assert apply(json.dumps(full)).returncode == 0
    # What is applied together holds together: the project may have three from now on.
    raised = {"kind": "project", "id": project, "limits": {"definitionsPerKind": 3}}
    assert apply(json.dumps([json.loads(events("e3"))[0], raised])).returncode == 0

    for hours, code in ((720, 0), (721, 1), (24, 0)):  # `tokenDays` is 30 again
        ask = ("keys", "token", "--project", project, "--user", "ann", "--hours", str(hours))
        signed = run(api_without_worker.settings, *ask)
        assert signed.returncode == code, signed.stderr
        assert bool(signed.stdout) == (code == 0)
        assert ("at most 720" in signed.stderr) == (code == 1)


async def test_a_database_that_is_gone_is_given_up(api_without_worker: Served) -> None:
    """Else a request waits for as long as the kernel sends again, a quarter of an hour."""
    async with connection_pool(api_without_worker.settings) as pool, pool.connection() as api:
        projector = await connect(api_without_worker.settings.database_url, "test")
        async with projector:
            for connection in (api, projector):
                with socket.socket(fileno=os.dup(connection.fileno())) as held:
                    timeout = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                    idle = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
                assert (timeout, idle) == (25_000, 10)

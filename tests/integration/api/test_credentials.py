"""Who may do what: keys, tokens, roles, and the order of 401, 403 and 404."""

import asyncio
import codecs
import json
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.auth.credentials import CACHE_SECONDS, Role
from tests.integration.api.serving import PATIENCE_SECONDS, PROJECT, Served, run
from tests.ports import free_port
from tests.stack import FreshSettings

LOGS = "/schema/challenge_log/record"
SOMEBODY = f"/schema/member/record/{uuid.uuid4()}"


async def test_a_guest_is_asked_who_it_is(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as guest:
        for path in (LOGS, SOMEBODY, "/", "/definitions/challenge", "/schema/nonsense/record"):
            answer = await guest.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic ")
            assert answer.headers["content-type"] == "application/problem+json"


async def test_credentials_that_are_not_good_are_401(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    async with api_without_worker.guest() as guest:
        for headers in (
            {"x-api-key": key.key_id, "x-api-secret": key.secret + "x"},
            {"x-api-key": key.key_id},
            {"x-api-secret": key.secret},
            {"x-api-key": "nobody", "x-api-secret": key.secret},
            {"x-api-key": "a'--", "x-api-secret": ""},
            {"authorization": "Basic ???"},
            {"authorization": "Basic AAA6AAA="},
            {"authorization": "Bearer nonsense"},
            {"x-enduser-access-token": "a.b.c"},
        ):
            assert (await guest.get(LOGS, headers=headers)).status_code == 401, headers


async def test_basic_is_the_same_key(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    async with api_without_worker.guest() as guest:
        answer = await guest.get(LOGS, auth=(key.key_id, key.secret))
        assert answer.status_code == 200


async def test_a_role_has_its_rights_and_a_403_comes_before_any_404(
    api_without_worker: Served,
) -> None:
    reads = [LOGS, SOMEBODY, "/schema/nonsense/record"]
    async with await api_without_worker.client(Role.PRODUCER) as producer:
        for path in (*reads, "/definitions/challenge", "/definitions/nonsense", "/"):
            assert (await producer.get(path)).status_code == 403, path
        for slug in ("challenge_log", "challenge", "milestone", "member"):
            answer = await producer.post(f"/schema/{slug}/record", json={})
            assert answer.status_code == 400, slug
            one = f"/schema/{slug}/record/{uuid.uuid4()}"
            assert (await producer.get(one)).status_code == 403
            if slug != "challenge_log":
                assert (await producer.patch(one, json={})).status_code == 403
                assert (await producer.delete(one)).status_code == 403
        reward_log = f"/schema/reward_log/record/{uuid.uuid4()}"
        assert (await producer.patch(reward_log, json={})).status_code == 403
        challenge = {"name": "Spend", "completionTargetValue": 500}
        made = await producer.post("/schema/challenge/record", json=challenge)
        assert made.status_code == 201
    async with await api_without_worker.client(Role.ANALYST) as analyst:
        for path in reads:
            assert (await analyst.get(path)).status_code == 403, path
        assert (await analyst.post(LOGS, json={})).status_code == 403
        assert (await analyst.post("/schema/member/record", json={})).status_code == 403
        assert (await analyst.get("/definitions/challenge")).status_code == 200
        assert (await analyst.get("/")).status_code == 200
        assert (await analyst.put("/definitions/challenge/x", json={})).status_code == 403


async def test_a_revoked_key_stops_within_seconds(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    async with api_without_worker.guest() as guest:
        assert (await guest.get(LOGS, auth=(key.key_id, key.secret))).status_code == 200
        with psycopg.connect(api_without_worker.settings.database_url) as connection:
            connection.execute(
                "UPDATE milestream_private.api_keys SET revoked_at = now() WHERE key_id = %s",
                (key.key_id,),
            )
        await _until_refused(guest, (key.key_id, key.secret))


async def _until_refused(guest: httpx.AsyncClient, auth: tuple[str, str]) -> None:
    assert await _status_after(200, guest, auth=auth) == 401


async def _status_after(passing: int, guest: httpx.AsyncClient, **request: Any) -> int:
    """Ask for logs until the status is another than the one that is passing; return that one.

    Caches of credentials are the reason to wait. The pause keeps the asking below the quotas.
    """
    deadline = time.monotonic() + CACHE_SECONDS + PATIENCE_SECONDS
    while (status := (await guest.get(LOGS, **request)).status_code) == passing:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)
    return status


async def test_keys_are_listed_rotated_and_revoked(api_without_worker: Served) -> None:
    project = "rotating"
    key = await api_without_worker.key(project=project)
    before = (key.key_id, key.secret)
    rotate = ("keys", "rotate", "--project", project, "--key", key.key_id)
    async with api_without_worker.guest() as guest:
        assert (await guest.get(LOGS, auth=before)).status_code == 200  # it is known from now on
        rotated = run(api_without_worker.settings, *rotate)
        assert rotated.returncode == 0, rotated.stderr
        made = json.loads(rotated.stdout)
        assert made["keyId"] == key.key_id
        after = (key.key_id, made["secret"])
        for auth in (after, before):
            assert (await guest.get(LOGS, auth=auth)).status_code == 200
        (listed,) = run(
            api_without_worker.settings, "keys", "list", "--project", project
        ).stdout.splitlines()
        shown = json.loads(listed)
        assert shown["role"] == "admin"
        assert shown["revokedAt"] is None
        assert shown["previousUntil"] > shown["createdAt"]
        assert key.secret not in listed
        last = run(api_without_worker.settings, *rotate, "--until", "2026-01-01T00:00:00Z")
        await _until_refused(guest, after)
        assert (await guest.get(LOGS, auth=before)).status_code == 401
        newest = (key.key_id, json.loads(last.stdout)["secret"])
        assert (await guest.get(LOGS, auth=newest)).status_code == 200
        revoke = ("keys", "revoke", "--project", project, "--key", key.key_id)
        assert run(api_without_worker.settings, *revoke).returncode == 0
        await _until_refused(guest, newest)
    listed = run(
        api_without_worker.settings, "keys", "list", "--project", project, "--key", key.key_id
    ).stdout
    assert json.loads(listed)["revokedAt"] is not None
    assert run(api_without_worker.settings, *rotate).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("revoke", "--project", PROJECT, "--key", "nobody"), 1),
        (("rotate", "--project", PROJECT, "--key", "nobody"), 1),
        (("list", "--project", "nobody"), 0),
        (("revoke", "--project", PROJECT), 2),
        (("rotate", "--project", PROJECT, "--key", "nobody", "--until", "soon"), 2),
        (("jwt-secret", "--project", "nobody", "--rotate"), 1),
        (("jwt-secret", "--project", PROJECT, "--until", "2026-01-01T00:00:00Z"), 2),
    ],
)
def test_what_is_not_there_is_1_and_wrong_usage_2(
    api_without_worker: Served, arguments: tuple[str, ...], code: int
) -> None:
    done = run(api_without_worker.settings, "keys", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr


async def test_both_secrets_of_tokens_are_good_for_a_while(api_without_worker: Served) -> None:
    project = "two-secrets"
    ask = ("keys", "jwt-secret", "--project", project)
    secrets = [run(api_without_worker.settings, *ask).stdout.strip()]
    secrets.append(run(api_without_worker.settings, *ask, "--rotate").stdout.strip())
    assert run(api_without_worker.settings, *ask).stdout.strip() == secrets[1] != secrets[0]
    claims = {"sub": "ann", "aud": project, "exp": int(time.time()) + 300}
    old, new = ({"authorization": f"Bearer {jwt.encode(claims, key)}"} for key in secrets)
    async with api_without_worker.guest() as guest:
        for headers in (old, new):
            assert (await guest.get(LOGS, headers=headers)).status_code == 403
        assert run(
            api_without_worker.settings, *ask, "--rotate", "--until", "2026-01-01T00:00:00Z"
        ).stdout
        assert await _status_after(403, guest, headers=new) == 401
        assert (await guest.get(LOGS, headers=old)).status_code == 401


async def test_another_site_cannot_write_with_a_remembered_login(
    api_without_worker: Served,
) -> None:
    key = await api_without_worker.key()
    async with api_without_worker.guest() as guest:
        auth = (key.key_id, key.secret)
        for headers, status in (
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"origin": "http://evil.example.org"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": api_without_worker.url}, 400),
            ({"origin": api_without_worker.settings.public_url, "host": "elsewhere"}, 400),
        ):
            answer = await guest.post(LOGS, json={}, headers=headers, auth=auth)
            assert answer.status_code == status, headers
        answer = await guest.get(LOGS, headers={"origin": "http://evil.example.org"}, auth=auth)
        assert answer.status_code == 200


def test_keys_are_made_on_an_empty_database(fresh_settings: FreshSettings, tmp_path: Path) -> None:
    settings = fresh_settings()
    made = run(settings, "keys", "create", "--project", PROJECT, "--role", "admin", "--signing")
    assert made.returncode == 0, made.stderr
    assert set(json.loads(made.stdout)) == {"keyId", "secret"}
    secrets = [run(settings, "keys", "jwt-secret", "--project", PROJECT) for _ in range(2)]
    assert secrets[0].stdout == secrets[1].stdout
    assert len(secrets[0].stdout.strip()) >= 32
    private = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "public.pem"
    file.write_bytes(  # with a byte order mark, as some editors write it
        codecs.BOM_UTF8
        + private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    registered = run(settings, "keys", "jwt-public", "--project", PROJECT, "--file", str(file))
    assert registered.returncode == 0, registered.stderr
    refused = run(settings, "keys", "jwt-secret", "--project", PROJECT)
    assert refused.returncode == 1
    assert run(settings, "keys", "create", "--project", "A", "--role", "admin").returncode == 2
    _nothing_of_a_secret_is_kept(settings.database_url, json.loads(made.stdout)["secret"])


@pytest.mark.parametrize(
    "command", [("api",), ("keys", "create", "--project", PROJECT, "--role", "admin")]
)
def test_a_database_that_refuses_is_one_line(
    fresh_settings: FreshSettings, command: tuple[str, ...]
) -> None:
    settings = fresh_settings.migrated(api_port=free_port())
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO milestream_private.migrations (version, name) VALUES (9999, 'later')"
        )
    newer = run(settings, *command)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("DROP TABLE milestream_private.migrations")
        connection.execute("CREATE TABLE milestream_private.migrations (other int)")
    strange = run(settings, *command)
    away = run(settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/x"}), *command)
    for refused, said in ((newer, "migration 9999"), (strange, "version"), (away, "DATABASE_URL")):
        assert refused.returncode == 1
        assert said in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr


def _nothing_of_a_secret_is_kept(database_url: str, secret: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT t::text FROM milestream_private.api_keys t").fetchall()
    assert rows
    assert all(secret not in row[0] and secret.encode().hex() not in row[0] for row in rows)


@pytest.mark.parametrize("role", [None, "admin"])
async def test_an_end_user_may_nothing_here(api_without_worker: Served, role: str | None) -> None:
    secret = run(
        api_without_worker.settings, "keys", "jwt-secret", "--project", PROJECT
    ).stdout.strip()
    claims = {"sub": "ann", "aud": PROJECT, "exp": int(time.time()) + 60}
    token = jwt.encode(claims | ({"role": role} if role else {}), secret)
    stale = jwt.encode(claims | {"exp": int(time.time()) - 3600}, secret)
    async with api_without_worker.guest() as guest:
        for headers in ({"authorization": f"Bearer {token}"}, {"x-enduser-access-token": token}):
            assert (await guest.get(LOGS, headers=headers)).status_code == 403
            assert (await guest.post(LOGS, json={}, headers=headers)).status_code == 403
            assert (await guest.get(SOMEBODY, headers=headers)).status_code == 403
        answer = await guest.get(LOGS, headers={"authorization": f"Bearer {stale}"})
        assert answer.status_code == 401


async def test_a_secret_under_another_master_key_is_a_503(api_without_worker: Served) -> None:
    elsewhere = api_without_worker.settings.model_copy(
        update={"master_key": b"another master key of 32 bytes.."}
    )
    secret = run(elsewhere, "keys", "jwt-secret", "--project", "sealed").stdout.strip()
    token = jwt.encode({"sub": "ann", "aud": "sealed", "exp": int(time.time()) + 60}, secret)
    async with api_without_worker.guest() as guest:
        answer = await guest.get(LOGS, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert "decrypted" in answer.json()["detail"]

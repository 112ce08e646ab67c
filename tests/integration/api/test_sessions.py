"""Browser sessions: a link opens once, the cookie acts as its key, and other sites get nothing."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from psycopg import AsyncConnection

from api.auth import credentials, sessions, viewing_pace
from api.auth.credentials import CACHE_SECONDS, Role
from api.queries import credentials as key_queries
from api.resources import connection_pool
from tests.integration.api.serving import PROJECT, Served
from tests.integration.deploy.conftest import polling

PAGE = {sessions.HEADER: "1"}
READ = "/schema/member/record"


async def link(api: Served, key_id: str) -> str:
    async with await AsyncConnection.connect(api.settings.database_url) as connection:
        return await sessions.make_link(connection, key_id)


async def signed_in(api: Served, browser: httpx.AsyncClient, role: Role = Role.ADMIN) -> str:
    """Sign a browser in; return the id of the key that it acts as."""
    key = await api.key(role)
    opened = await browser.get("/login", params={"token": await link(api, key.key_id)})
    assert opened.status_code == 200
    return key.key_id


async def test_a_link_opens_once(api_without_worker: Served) -> None:
    token = await link(api_without_worker, (await api_without_worker.key()).key_id)
    async with api_without_worker.guest() as first, api_without_worker.guest() as second:
        opened = await first.get("/login", params={"token": token})
        assert opened.status_code == 200
        assert opened.headers["cache-control"] == "no-store"
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await first.get("/")).status_code == 200
        assert (await first.get(READ, headers=PAGE)).status_code == 200
        again = await second.get("/login", params={"token": token})
        assert again.status_code == 401
        assert "set-cookie" not in again.headers
        for wrong in ("", "x" * 1000, "\x00", "é"):
            assert (await second.get("/login", params={"token": wrong})).status_code == 401
        assert (await second.request("HEAD", "/login")).status_code == 405


async def test_a_link_that_is_too_old_opens_nothing(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    token = await link(api_without_worker, key.key_id)
    async with await AsyncConnection.connect(api_without_worker.settings.database_url) as database:
        await database.execute(
            "UPDATE milestream_private.login_links SET expires_at = clock_timestamp() "
            "WHERE link_hash = %s",
            (credentials.hash_of(token),),
        )
    async with api_without_worker.guest() as browser:
        assert (await browser.get("/login", params={"token": token})).status_code == 401


async def test_a_link_of_a_key_that_was_revoked_opens_nothing(api_without_worker: Served) -> None:
    key = await api_without_worker.key()
    token = await link(api_without_worker, key.key_id)
    async with await AsyncConnection.connect(api_without_worker.settings.database_url) as database:
        assert await key_queries.revoke_api_key(database, PROJECT, key.key_id)
    async with api_without_worker.guest() as browser:
        opened = await browser.get("/login", params={"token": token})
        assert (opened.status_code, "set-cookie" in opened.headers) == (401, False)


async def test_the_cookie_alone_admits_to_the_page_only(api_without_worker: Served) -> None:
    """Another site can make a browser send the cookie, but not the header beside it."""
    async with api_without_worker.guest() as browser:
        await signed_in(api_without_worker, browser)
        assert (await browser.get(READ)).status_code == 401
        assert (await browser.post("/schema/challenge/record", json={})).status_code == 401
        assert (await browser.get("/dashboard/data")).status_code == 401
        assert (
            await browser.post("/schema/challenge/record", json={}, headers=PAGE)
        ).status_code == 400
        asked = await browser.options(
            READ,
            headers={
                "origin": "https://elsewhere.example",
                "access-control-request-method": "GET",
                "access-control-request-headers": sessions.HEADER,
            },
        )
        allowed = asked.headers.get("access-control-allow-headers", "")
        assert sessions.HEADER not in allowed.lower()


async def test_a_session_may_what_its_key_may(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as browser:
        await signed_in(api_without_worker, browser, Role.ANALYST)
        assert (await browser.get("/definitions/challenge", headers=PAGE)).status_code == 200
        written = await browser.post("/schema/challenge/record", json={}, headers=PAGE)
        assert written.status_code == 403


async def test_a_session_ends_with_its_key_or_by_itself(api_without_worker: Served) -> None:
    url = api_without_worker.settings.database_url
    async with api_without_worker.guest() as browser, api_without_worker.guest() as other:
        key_id = await signed_in(api_without_worker, browser)
        await signed_in(api_without_worker, other)
        assert (await other.post("/logout", headers=PAGE)).status_code == 204
        other_cookie = {"cookie": f"{sessions.COOKIE}=anything", **PAGE}
        assert (await other.get(READ, headers=other_cookie)).status_code == 401
        async with await AsyncConnection.connect(url) as connection:
            assert await key_queries.revoke_api_key(connection, PROJECT, key_id)
        async for _ in polling(pause=CACHE_SECONDS / 4):
            if (await browser.get(READ, headers=PAGE)).status_code == 401:
                break


async def test_a_session_that_is_over_acts_no_more_from_that_moment(
    api_without_worker: Served,
) -> None:
    """A cookie that somebody has copied, right after it was used, and so looked up."""
    url = api_without_worker.settings.database_url
    async with api_without_worker.guest() as browser, api_without_worker.guest() as thief:
        await signed_in(api_without_worker, browser)
        stolen = {"cookie": f"{sessions.COOKIE}={browser.cookies[sessions.COOKIE]}", **PAGE}
        assert (await thief.get(READ, headers=stolen)).status_code == 200
        assert (await browser.post("/logout", headers=PAGE)).status_code == 204
        assert (await thief.get(READ, headers=stolen)).status_code == 401

        await signed_in(api_without_worker, browser)
        assert (await browser.get(READ, headers=PAGE)).status_code == 200
        async with await AsyncConnection.connect(url) as connection:  # as another process does it
            await connection.execute("DELETE FROM milestream_private.sessions")
        act = await browser.post("/schema/challenge/record", json={}, headers=PAGE)
        assert act.status_code == 401


async def test_what_is_known_of_a_session_does_not_outlive_it(
    api_without_worker: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)  # of the keyring alone
    monkeypatch.setattr("api.auth.credentials.time", clock)
    key = await api_without_worker.key()
    token = await link(api_without_worker, key.key_id)
    async with connection_pool(api_without_worker.settings) as pool:
        keyring = credentials.Keyring(pool, None)
        async with pool.connection() as connection:
            session = await sessions.open_link(connection, token)
        assert session is not None
        url = api_without_worker.settings.database_url
        async with await AsyncConnection.connect(url) as connection:
            async for _ in polling():  # again where a busy machine took longer than the second
                await connection.execute(
                    "UPDATE milestream_private.sessions "
                    "SET expires_at = clock_timestamp() + interval '1 s' WHERE session_hash = %s",
                    (credentials.hash_of(session),),
                )
                await connection.commit()
                if await keyring.of_session(session, acts=False) is not None:
                    break
        async with await AsyncConnection.connect(url) as connection:
            await connection.execute("DELETE FROM milestream_private.sessions")
        assert await keyring.of_session(session, acts=False) is not None  # it is kept
        now += 1.0
        assert now < 1000 + CACHE_SECONDS
        assert await keyring.of_session(session, acts=False) is None


async def test_credentials_count_before_the_session(api_without_worker: Served) -> None:
    analyst = await api_without_worker.key(Role.ANALYST)
    async with api_without_worker.guest() as browser:
        await signed_in(api_without_worker, browser)
        given = {"x-api-key": analyst.key_id, "x-api-secret": analyst.secret, **PAGE}
        refused = await browser.post("/schema/challenge/record", json={}, headers=given)
        assert refused.status_code == 403
        wrong = {**given, "x-api-secret": credentials.hash_of("no").hex()}
        assert (await browser.get(READ, headers=wrong)).status_code == 401


async def test_the_more_browsers_look_the_more_seldom_each_asks(api_without_worker: Served) -> None:
    browsers = 3 * viewing_pace.ASKED_A_SECOND
    key = await api_without_worker.key(Role.ANALYST)
    connecting = AsyncConnection.connect(api_without_worker.settings.database_url, autocommit=True)
    async with await connecting as database, api_without_worker.guest() as client:
        opened = []
        for _ in range(browsers):
            token = await sessions.make_link(database, key.key_id)
            opened.append(await sessions.open_link(database, token))

        cookies = [f"{sessions.COOKIE}={session}" for session in opened]
        async for _ in polling():
            calls = [
                client.get("/dashboard/data", headers={**PAGE, "cookie": each}) for each in cookies
            ]
            await asyncio.gather(*calls)
            told = (
                await client.get("/dashboard/data", headers={**PAGE, "cookie": cookies[0]})
            ).json()
            if told["askAgainSeconds"] > viewing_pace.SECONDS:
                break

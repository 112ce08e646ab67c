"""Signed calls: a client of the platform, replays across two API processes, and what is logged."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.auth.credentials import NewKey, Role
from api.faces.game_mechanics import signature
from deploy.topics_create import create_topics
from tests.integration.api.game_mechanics import (
    define_action,
    make_member,
    signing_key,
)
from tests.integration.api.platform_sdk import SdkRequest
from tests.integration.api.serving import (
    PATIENCE_SECONDS,
    PROJECT,
    Served,
    process,
    run,
    wait_until_ready,
)
from tests.ports import free_port
from tests.stack import FreshSettings

DOMAIN = "milestream.example"
PUBLIC_URL = f"http://gm.{DOMAIN}"


@dataclass(frozen=True)
class Site:
    """Two API processes behind one public address, a worker and a projector."""

    one: Served
    two: Served
    log: Path

    def call(
        self, key: NewKey, api: Served, method: str = "getActionsLog", **given: Any
    ) -> SdkRequest:
        """Return a call as the platform's SDK makes it; the API process stands in for a proxy."""
        secret = given.pop("secret", key.secret)
        return SdkRequest(key.key_id, secret, f"gm.{method}", given, domain=DOMAIN, proxy=api.url)


@pytest.fixture(scope="module")
def site(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    log = tmp_path_factory.mktemp("site")
    settings = lasting_settings.migrated(
        api_port=free_port(), partitions=2, public_url=PUBLIC_URL, log_level="debug"
    )
    other = settings.model_copy(update={"api_port": free_port()})
    create_topics(settings)
    with (
        process(settings, "worker", log),
        process(settings, "projector", log),
        process(settings, "api", log, patient=True),
        process(other, "api", log, patient=True),
    ):
        made = Site(Served(settings), Served(other), log)
        wait_until_ready(made.one, log)
        wait_until_ready(made.two, log)
        yield made


@pytest.fixture(scope="module")
def key(site: Site) -> NewKey:
    """An admin's signing key; the member `ann` and the action `visit` are there."""

    async def prepare() -> NewKey:
        async with await site.one.client() as admin:
            await make_member(admin, "ann lee")
            await define_action(admin, "visit", 10)
        return await signing_key(site.one)

    return asyncio.run(prepare())


def test_a_client_of_the_platform_passes(site: Site, key: NewKey) -> None:
    tags = {"tags": ["a b", "ü~*'()"], "n": 1}
    notified = site.call(
        key, site.one, "notifyAction", UID="ann lee", action="visit", actionAttributes=tags
    ).send()
    assert (notified["errorCode"], notified["points"]) == (0, 10), notified
    log = site.call(
        key, site.two, UID="ann lee", dontHandleScreenSet=True, startTime=0, context="x & y = ü"
    ).send()
    assert log["errorCode"] == 0, log
    assert [action["actionID"] for action in log["actions"]] == ["visit"]
    assert log["context"] == "x & y = ü"
    taken = site.call(key, site.one, "redeemPoints", UID="ann lee", points=4, challenge="_default")
    assert taken.send()["pointsTotal"] == 6
    status = site.call(key, site.two, "getChallengeStatus", UID="ann lee", details="full").send()
    assert status["achievements"][0]["pointsTotal"] == 6
    assert site.call(key, site.one, "getTopUsers").send()["users"][0]["UID"] == "ann lee"


def test_a_signed_get_passes_too(site: Site, key: NewKey) -> None:
    values = signed(key, "GET", UID="ann lee", nonce="get-1")
    answer = httpx.get(f"{site.two.url}/gm.getActionsLog", params=values, timeout=PATIENCE_SECONDS)
    assert answer.json()["errorCode"] == 0


def signed(key: NewKey, verb: str, **values: str) -> dict[str, str]:
    """Return the parameters of a call to the log, with their signature."""
    values = {"apiKey": key.key_id, "timestamp": str(int(time.time())), **values}
    url = f"{PUBLIC_URL}/gm.getActionsLog"
    return values | {"sig": signature.expected(key.secret, verb, url, values)}


def test_a_call_is_taken_once_by_all_processes(site: Site, key: NewKey) -> None:
    call = site.call(key, site.one, UID="ann lee")
    form = call.sign()
    assert call.send(form)["errorCode"] == 0
    again = call.send(form)
    assert (again["errorCode"], again["statusCode"]) == (403002, 403)
    assert site.call(key, site.two).send(form)["errorCode"] == 403002
    assert call.send()["errorCode"] == 0


async def test_of_many_at_once_one_is_taken(site: Site, key: NewKey) -> None:
    values = signed(key, "POST", UID="ann lee", nonce="at-once")
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        answers = await asyncio.gather(
            *(
                client.post(f"{api.url}/gm.getActionsLog", data=values)
                for api in (site.one, site.two) * 10
            )
        )
    codes = [answer.json()["errorCode"] for answer in answers]
    assert sorted(codes) == [0] + [403002] * 19


@pytest.mark.parametrize(("off", "code"), [(-60, 0), (119, 0), (-121, 403002), (180, 403002)])
def test_a_timestamp_is_good_for_two_minutes(site: Site, key: NewKey, off: int, code: int) -> None:
    """To the second where the way there cannot take it over the edge."""
    values = signed(
        key, "POST", UID="ann lee", nonce=f"off {off}", timestamp=str(int(time.time()) + off)
    )
    answer = httpx.post(f"{site.one.url}/gm.getActionsLog", data=values, timeout=PATIENCE_SECONDS)
    assert answer.json()["errorCode"] == code


async def test_what_is_no_good_signature(site: Site, key: NewKey) -> None:
    plain = await site.one.key()
    bob = await signing_key(site.one, project="other")
    good = signed(key, "POST", UID="ann lee", nonce="never-used")
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        for bad in (
            good | {"UID": "bob"},
            good | {"startTime": "1"},
            good | {"sig": base64.b64encode(b"x" * 20).decode()},
            good | {"sig": "é"},
            good | {"apiKey": plain.key_id},
            good | {"apiKey": bob.key_id},
            good | {"apiKey": "nobody"},
            signed(key, "GET", UID="ann lee", nonce="n"),
            signed(NewKey(plain.key_id, "c2VjcmV0"), "POST", UID="ann lee", nonce="n"),
        ):
            answer = await client.post(f"{site.one.url}/gm.getActionsLog", data=bad)
            assert answer.json()["errorCode"] == 403005, bad
        for name in ("timestamp", "nonce"):
            missing = {field: value for field, value in good.items() if field != name}
            answer = await client.post(f"{site.one.url}/gm.getActionsLog", data=missing)
            assert answer.json()["errorCode"] == 400002
            assert name in answer.json()["errorMessage"]
        # None of these has used the nonce up.
        answer = await client.post(f"{site.one.url}/gm.getActionsLog", data=good)
        assert answer.json()["errorCode"] == 0


@pytest.mark.usefixtures("key")
async def test_a_signature_gives_the_rights_of_its_key(site: Site) -> None:
    analyst = await signing_key(site.one, Role.ANALYST)
    call = site.call(analyst, site.one, "redeemPoints", UID="ann lee", points=1)
    assert call.send()["errorCode"] == 403007
    other = await signing_key(site.one, project="other")
    assert site.call(other, site.one, UID="ann lee").send()["errorCode"] == 403005
    with psycopg.connect(site.one.settings.database_url) as connection:
        connection.execute(
            "UPDATE milestream_private.api_keys SET revoked_at = now() WHERE key_id = %s",
            (analyst.key_id,),
        )
    assert site.call(analyst, site.one, UID="ann lee").send()["errorCode"] == 403005


async def test_a_key_that_was_rotated_signs_with_both_secrets_for_a_while(site: Site) -> None:
    old = await signing_key(site.one)
    settings = site.one.settings
    rotate = ("keys", "rotate", "--project", PROJECT, "--key", old.key_id)
    new = NewKey(old.key_id, json.loads(run(settings, *rotate).stdout)["secret"])
    for key in (old, new):
        assert site.call(key, site.one, UID="ann lee").send()["errorCode"] == 0
    newest = NewKey(
        old.key_id,
        json.loads(run(settings, *rotate, "--until", "2026-01-01T00:00:00Z").stdout)["secret"],
    )
    for key, code in ((old, 403005), (new, 403005), (newest, 0)):
        assert site.call(key, site.one, UID="ann lee").send()["errorCode"] == code


def test_aged_nonces_are_forgotten(site: Site, key: NewKey) -> None:
    with psycopg.connect(site.one.settings.database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM milestream_private.used_nonces")  # some may be as old
        connection.execute(
            """
            INSERT INTO milestream_private.used_nonces
            SELECT 'old', n::text, now() - interval '61 seconds' FROM generate_series(1, 25) AS n
            """
        )
        for left in (15, 5, 0, 0):
            assert site.call(key, site.one, UID="ann lee").send()["errorCode"] == 0
            rows = connection.execute(
                "SELECT count(*) FROM milestream_private.used_nonces WHERE key_id = 'old'"
            ).fetchall()
            assert rows == [(left,)]


async def test_secrets_are_in_no_log_even_where_things_go_wrong(site: Site, key: NewKey) -> None:
    broken = await signing_key(site.one)
    values = {"apiKey": key.key_id, "secret": key.secret, "UID": "ann lee"}
    signatures = []
    async with httpx.AsyncClient(base_url=site.one.url, timeout=PATIENCE_SECONDS) as client:
        for more in ({}, {"UID": "nobody"}, {"startTime": "x"}, {"secret": "wrong-secret-1"}):
            await client.get("/gm.getActionsLog", params=values | more)
            await client.post("/gm.getActionsLog", data=values | more)
        await client.get("/gm.nothing", params=values)
        await client.put("/gm.getActionsLog", params=values)
        for number, sealed in enumerate((b"\x01" + b"x" * 40, b"\x00very-secret, and no base64")):
            with psycopg.connect(site.one.settings.database_url) as connection:
                connection.execute(
                    "UPDATE milestream_private.api_keys SET signing_secret = %s WHERE key_id = %s",
                    (sealed, broken.key_id),
                )
            call = signed(broken, "GET", UID="ann lee", nonce=str(number))
            signatures.append(call["sig"])
            answer = await client.get("/gm.getActionsLog", params=call)
            assert (answer.status_code, answer.json()["errorCode"]) == (200, 500001)
        metrics = (await client.get("/metrics")).text
    text = (site.log / "api.log").read_text()
    assert f"signatures of key {broken.key_id} cannot be checked" in text
    assert "Traceback" in text
    secrets = (key.secret, broken.secret, *signatures, "wrong-secret-1", "very-secret")
    for written in (text, metrics):
        assert [secret for secret in secrets if secret[:12] in written] == []
    assert "/gm.getActionsLog" in metrics
    assert "nothing" not in metrics

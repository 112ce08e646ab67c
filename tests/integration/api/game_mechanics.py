"""What the tests of the game-mechanics face share: keys, members, actions and calls."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
from psycopg import AsyncConnection

from api.auth import credentials
from api.auth.credentials import NewKey, Role
from tests.integration.api.serving import PATIENCE_SECONDS, PROJECT, Served
from tests.plain_http import NO_TLS

PUBLISHED: dict[str, Any] = json.loads("""
{
  "actions": [
    {
      "time": "2012-04-16 09:17:00Z",
      "actionID": "1",
      "points": 10,
      "ip": "192.0.2.7",
      "challengeID" : "_default",
      "operation" : "grant"
    },
    {
      "time": "2012-04-16 09:16:45Z",
      "actionID": "_siteLogin",
      "points": 10,
      "ip": "192.0.2.7",
      "challengeID" : "books",
      "operation" : "grant"
    }
  ],
  "statusCode": 200,
  "errorCode": 0,
  "statusReason": "OK",
  "callId": "dd62d65ba14d4352ac239fc1f37a53c3",
  "time": "2012-04-16T09:18:25.943Z"
}
""")
"""The published example, with the addresses that are not printed there."""


async def signing_key(api: Served, role: Role = Role.ADMIN, project: str = PROJECT) -> NewKey:
    """Make an API key that can sign."""
    settings = api.settings
    async with await AsyncConnection.connect(settings.database_url) as connection:
        return await credentials.create_key(
            connection, project, role, settings.master_key, signing=True
        )


@dataclass(frozen=True)
class Caller:
    """Calls methods with a key and its secret."""

    client: httpx.AsyncClient
    key: NewKey

    async def __call__(self, method: str, **params: str | int) -> dict[str, Any]:
        """Call `gm.<method>`; return the answer's data."""
        given = {"apiKey": self.key.key_id, "secret": self.key.secret, **params}
        answer = await self.client.post(f"/gm.{method}", data=given)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def until_done(self, method: str, **params: str | int) -> dict[str, Any]:
        """Call again and again while the answer is still pending."""
        while True:
            answer = await self(method, **params)
            if answer["errorCode"] != 100001:
                return answer
            await asyncio.sleep(0.1)


async def caller(api: Served, role: Role = Role.ADMIN, project: str = PROJECT) -> Caller:
    """Return a caller with a key of its own; its client is to be closed."""
    client = httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_SECONDS, verify=NO_TLS)
    return Caller(client, await api.key(role, project))


async def define_action(admin: httpx.AsyncClient, action: str, points: int, **fields: Any) -> None:
    """Define an event that gives points."""
    body = {"title": action, "reward": {"default": points}, **fields}
    made = await admin.put(f"/definitions/event/{action}", json=body)
    assert made.status_code in (200, 201), made.text


async def make_member(admin: httpx.AsyncClient, user: str, **fields: Any) -> None:
    """Create a member; a worker that is not ready yet is waited for."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            made = await admin.post("/schema/member/record", json={"externalId": user, **fields})
            if made.status_code != 202:
                assert made.status_code in (200, 201), made.text
                return

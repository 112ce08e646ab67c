"""What `milestream up` prints to paste: commands with a key and a token that work here."""

import asyncio
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import orjson

from deploy import demo_events, demo_people
from deploy.end_user_tokens import end_user_token
from processor.domain.aggregates.period import period_key
from schemas import ids
from schemas.settings import Settings

KEY_FILE = "demo-key.json"
TOKEN_SECONDS = 24 * 3600
FIRST_ORDER = 120.5
"""More than the 100 for which the demo's first milestone gives free shipping."""
LATE = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a19"
"""A milestone that the demo's definitions have not got."""


def examples(settings: Settings) -> str:
    """Return commands to paste: a challenge log, an event, statistics, an explanation, a
    recalculation, a void; how to see the page.

    The key is made at the first call, with role admin in project `default`, and kept in the data
    dir. The token is good for a day.
    """
    key_id, secret, bearer, link = asyncio.run(_credentials(settings))
    key = f"-H 'x-api-key: {key_id}' -H 'x-api-secret: {secret}'"
    user = key if bearer is None else f"-H 'authorization: Bearer {bearer}'"
    json = "-H 'content-type: application/json'"
    url, you = settings.public_url, demo_people.YOU.external_id
    return (
        "# A challenge log, with a backend's key; the answer has the reward that it gives:\n"
        f"curl -s {url}/schema/challenge_log/record \\\n  {key} \\\n  {json} \\\n  -d {_log()}\n"
        "\n# An event, with a token of the user called you, good for a day:\n"
        "ORDER=order-$(date +%s)\n"
        f"curl -s {url}/v1/event \\\n  {user} \\\n  {json} \\\n"
        f"  -d {_event()}\n"
        "\n# What another event would give, and by which rules; nothing comes of it:\n"
        f"curl -s '{url}/v1/event?dryRun=true&trace=true' \\\n  {key} \\\n  {json} \\\n"
        f"  -d {_event('next-ORDER')}\n"
        "\n# What all events came to, and who has the most points this month:\n"
        f"curl -s '{url}/v1/stats/event?period=7d' {key}\n"
        f"curl -s '{url}/v1/leaderboard?limit=3' {key}\n"
        "\n# Your points, and the tier that they make:\n"
        f"curl -s {url}/v1/user/{you}/points {user}\n"
        f"curl -s {url}/v1/user/{you}/tier {user}\n"
        "\n# Which records led to the reward, by which definitions; what the next one is missing:\n"
        f"curl -s {url}/explain/reward_log/{_reward()} {user}\n"
        f"curl -s '{url}/v1/user/{you}/why-not?milestoneId={demo_people.TEN_OFF}' {user}\n"
        "\n# What a reward for 50 spent in a month would have given, had it always been there;\n"
        '# with "apply": true it is given:\n'
        f"curl -s {url}/recalculations \\\n  {key} \\\n  {json} \\\n  -d {_late()}\n"
        f"curl -s {url}/recalculations {key}\n"
        "\n# That order sent back, with the key: its points go, and all that it led to:\n"
        f"curl -s {url}/v1/user/{you}/void \\\n  {key} \\\n  {json} \\\n  -d {_void()}\n"
        "\n# The dashboard; this link opens once, within ten minutes:\n"
        f"#   {url}/login?token={link}\n"
        f"# After that {url}/ asks for a name and a password:\n#   {key_id}\n#   {secret}"
    )


def _reward() -> str:
    """Return the id of the reward that a first log of this month gives the user called you."""
    you = ids.member_id(ids.DEFAULT_PROJECT, demo_people.YOU.external_id)
    month = period_key("monthly", "UTC", datetime.now(UTC))
    return ids.reward_log_id(ids.DEFAULT_PROJECT, demo_people.FREE_SHIPPING, you, month)


def _log() -> str:
    body = {
        "challengeId": demo_people.SPEND,
        "ownedBy": {"externalId": demo_people.YOU.external_id},
        "activityAt": "NOW",
        "activityId": "made_a_purchase",
        "uniqueIdentifier": "order-SECONDS",
        "activityValue": FIRST_ORDER,
    }
    text = shlex.quote(orjson.dumps(body).decode())
    text = text.replace("NOW", "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'")
    return text.replace("SECONDS", "'$(date +%s)'")


def _event(key: str = "ORDER") -> str:
    body = {
        "eventId": demo_events.PURCHASE,
        "userId": demo_people.YOU.external_id,
        "metadata": {
            "amount": 49.99,
            "currency": "EUR",
            "usergroup": ["default"],
            "source": "web",
        },
        "idempotencyKey": key,
    }
    return _of_the_order(body)


def _late() -> str:
    milestone = {
        "kind": "milestone",
        "id": LATE,
        "linkedSchemaRecordId": demo_people.SPEND,
        "name": "Half way",
        "milestoneTargetValue": 50,
    }
    return shlex.quote(orjson.dumps({"definitions": [milestone], "apply": False}).decode())


def _void() -> str:
    return _of_the_order(
        {
            "what": "event",
            "of": {"idempotencyKey": "ORDER"},
            "reason": "sent back",
            "uniqueIdentifier": "return-of-ORDER",
        }
    )


def _of_the_order(body: Mapping[str, object]) -> str:
    """Return a body as a shell takes it, with the order that was named before."""
    return shlex.quote(orjson.dumps(body).decode()).replace("ORDER", "'\"$ORDER\"'")


async def _credentials(settings: Settings) -> tuple[str, str, str | None, str]:
    """Return the demo's admin key, made anew where the database does not know it, a token, and the
    token of a link to the dashboard.

    The end user's token is None where the project's tokens are signed by somebody else.
    """
    from psycopg import AsyncConnection

    from api.auth.credentials import CredentialsError, Role, create_key, jwt_secret
    from api.auth.sessions import make_link
    from api.queries import credentials as queries
    from deploy.stack.data_dir import write_private

    path = settings.data_dir / KEY_FILE
    project = ids.DEFAULT_PROJECT
    async with await AsyncConnection.connect(settings.database_url) as connection:
        try:
            signing = await jwt_secret(connection, project, settings.master_key)
        except CredentialsError:  # it has a public key
            bearer = None
        else:
            bearer = end_user_token(signing, project, demo_people.YOU.external_id, TOKEN_SECONDS)
        kept = _kept(path)
        if kept is not None and await queries.api_key(connection, kept[0]) is not None:
            return *kept, bearer, await make_link(connection, kept[0])
        key = await create_key(connection, project, Role.ADMIN, settings.master_key, signing=False)
        link = await make_link(connection, key.key_id)
    write_private(path, {"keyId": key.key_id, "secret": key.secret})
    return key.key_id, key.secret, bearer, link


def _kept(path: Path) -> tuple[str, str] | None:
    try:
        kept = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return kept["keyId"], kept["secret"]

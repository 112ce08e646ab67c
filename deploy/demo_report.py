"""The demo's first recalculation: what a reward for half of the way would have given."""

import urllib.error
import urllib.request
from typing import Any

import orjson

from deploy import demo_people
from deploy.errors import CommandError
from deploy.stack.whole import local_address
from schemas.settings import Settings

LATE = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a19"
"""A milestone that the demo's definitions have not got."""
_PATIENCE_SECONDS = 30


def late_reward() -> dict[str, Any]:
    """Return the body that asks what history would have given with one more reward; nothing is
    applied."""
    milestone = {
        "kind": "milestone",
        "id": LATE,
        "linkedSchemaRecordId": demo_people.SPEND,
        "name": "Half way",
        "milestoneTargetValue": 50,
    }
    return {"definitions": [milestone], "apply": False}


def ask_for_report(settings: Settings, key_id: str, secret: str) -> None:
    """Ask the API for the demo's recalculation, where none was asked for yet.

    Raises:
        CommandError: the API does not answer, or refuses.
    """
    url = f"{local_address(settings)}/recalculations"
    headers = {"x-api-key": key_id, "x-api-secret": secret, "content-type": "application/json"}
    try:
        if not _call(url, headers)["data"]:
            _call(url, headers, orjson.dumps(late_reward()))
    except (urllib.error.URLError, TimeoutError) as error:
        raise CommandError(f"the demo's recalculation cannot be asked for: {error}") from error


def _call(url: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, headers)  # noqa: S310  (the stack's own API)
    with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as response:  # noqa: S310
        answer: dict[str, Any] = orjson.loads(response.read())
    return answer

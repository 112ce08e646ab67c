"""Which call of the HTTP API a write is, and which calls read."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from milestream_client import records, writes
from milestream_client.errors import InvalidWrite
from milestream_client.writes import Write

Slug = Literal[
    "challenge_log", "challenge", "milestone", "challenge_progress", "reward_log", "member"
]
"""The kinds of records that can be read one by one, and in pages."""

RECORDS: Mapping[str, type[Any]] = {
    "challenge_progress": records.ProgressRecord,
    "reward_log": records.RewardLogRecord,
    "member": records.MemberRecord,
}
"""The types of records that are read; the others are objects as they come."""

PAGE = 200


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request of HTTP: its path is percent-encoded."""

    method: str
    path: str
    content: bytes | None = None
    query: Mapping[str, str] = {}


class Page(msgspec.Struct):
    """One page of a list, as JSON objects."""

    data: list[msgspec.Raw]


_OF_USER: Mapping[type[Write[Any]], str] = {
    writes.SpendPoints: "spend",
    writes.HoldPoints: "hold",
    writes.AdjustPoints: "adjust",
    writes.CaptureHold: "capture",
    writes.ReleaseHold: "release",
    writes.AssignTier: "tier",
    writes.Void: "void",
    writes.ForgetMember: "forget",
}
_NOT_IN_BODIES = ("type", "userId", "project")
_OVER_KAFKA_ALONE = ("ifVersion", "mustExist", "onlyNew", "ip")
"""What the API refuses in bodies: it would not mean there what it says."""


def call_of(write: Write[Any], *, dry_run: bool, trace: bool) -> Call:
    """Return the call that sends a write.

    Raises:
        InvalidWrite: it cannot be sent over HTTP, or is not valid.
    """
    given = writes.fields(write)
    asked = {"dryRun": dry_run, "trace": trace}
    query = {name: "true" for name, wanted in asked.items() if wanted}
    path = _path(write)
    for name in _OVER_KAFKA_ALONE:
        if name in given:
            raise InvalidWrite(name, "goes over Kafka alone")
    body = {name: value for name, value in given.items() if name not in _NOT_IN_BODIES}
    if isinstance(write, writes.Event):
        body["userId"] = given["userId"]
    content = None if isinstance(write, writes.ForgetMember) else msgspec.json.encode(body)
    return Call(method="POST", path=path, content=content, query=query)


def _path(write: Write[Any]) -> str:
    if isinstance(write, writes.ChallengeLog):
        return "/schema/challenge_log/record"
    if isinstance(write, writes.Event):
        return "/v1/event"
    if isinstance(write, writes.UpsertMember):
        return "/schema/member/record"
    last = _OF_USER.get(type(write))
    if last is None:
        raise InvalidWrite("", f"{type(write).__name__} goes over Kafka: publish it")
    user_id = getattr(write, "user_id", None)
    if user_id is None:
        raise InvalidWrite("userId", "is required over HTTP")
    hold = getattr(write, "hold_identifier", None)
    middle = f"hold/{quote(hold, safe='')}/" if hold is not None else ""
    return f"/v1/user/{quote(user_id, safe='')}/{middle}{last}"


def page_of(
    path: str,
    offset: int,
    limit: int,
    filters: Mapping[str, Any] | None = None,
    sort_by: Sequence[tuple[str, Literal["ASC", "DESC"]]] = (),
) -> Call:
    """Return the call that reads one page of a list."""
    query = {"offset": str(offset), "limit": str(limit)}
    if filters:
        query["filters"] = msgspec.json.encode(filters).decode()
    if sort_by:
        sorts = [{"fieldSlug": name, "order": order} for name, order in sort_by]
        query["sortBy"] = msgspec.json.encode(sorts).decode()
    return Call(method="GET", path=path, query=query)


def records_path(slug: Slug, record_id: str | None = None) -> str:
    """Return the path of records, or of one."""
    return f"/schema/{slug}/record" + ("" if record_id is None else f"/{quote(record_id, safe='')}")

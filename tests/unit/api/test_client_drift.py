"""The Python client has the product's types: a field that one has, the other has as well."""

import re
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import milestream_client
import msgspec
import pytest
from milestream_client import calls, events, records, writes

from api.app import create_app
from api.documents import openapi
from schemas import ids, outputs
from schemas import records as product
from schemas.event_types import EVENT_TYPES
from schemas.settings import Settings
from tests.documents import ROOT

ANSWERS = ("ChallengeLogRecord", "EventAnswer", "PointsAnswer", "TierAnswer", "VoidAnswer",
           "ForgottenAnswer", "MemberReference", "MemberRecord", "RewardLogRecord")  # fmt: skip

INTERNAL = {
    # Sealed under a key that only who has the master key can make.
    product.UpsertMember: {"sealed"},
    product.Owner: {"sealed"},
    # How the API tells the fold who called.
    product.Event: {"withApiKey", "byEndUser"},
    # An offset that the API knows.
    product.ForgetMember: {"keysBefore"},
}
"""What the product's own processes say to each other, by the struct that has it."""

CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"

MADE_AT_ONCE = {"uniqueIdentifier", "idempotencyKey"}
"""What has a default in the client alone: a new identity."""


def _fields(struct: Any) -> dict[str, msgspec.structs.FieldInfo]:
    return {each.encode_name: each for each in msgspec.structs.fields(struct)}


def _kinds(type_: Any) -> set[str]:
    """Return the kinds of values that a type takes, with bounds of texts, numbers and lists."""
    info = msgspec.inspect.type_info(type_)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return {_kind(part) for part in parts}


def _kind(info: Any) -> str:
    if isinstance(info, msgspec.inspect.StructType):
        return f"struct {sorted(_fields(info.cls))}"
    if isinstance(info, msgspec.inspect.ListType):
        return f"list of {_kind(info.item_type)}, {info.max_length}"
    return re.sub(r"[\w.]+\.(\w+)", r"\1", repr(info))


def _assert_alike(ours: Any, theirs: Any, left_out: Set[str] = frozenset()) -> None:
    one, other = _fields(ours), _fields(theirs)
    assert set(one) == set(other) - left_out, ours.__name__
    for name, field in one.items():
        wanted = other[name]
        if name not in MADE_AT_ONCE:
            assert field.required == wanted.required, (ours.__name__, name)
        of_objects = "Raw" in repr(wanted.type) or "OwnedBy" in repr(field.type)
        if not of_objects and name not in MADE_AT_ONCE:
            assert _kinds(field.type) == _kinds(wanted.type), (ours.__name__, name)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_events_carry_what_the_catalogue_says(name: str) -> None:
    wanted = EVENT_TYPES[name]
    assert events.TOPICS[name] == wanted.topic
    assert events.DATA[name].__name__ == wanted.data.__name__
    _assert_alike(events.DATA[name], wanted.data)


def test_there_are_no_other_events() -> None:
    assert set(events.DATA) == set(events.TOPICS) == set(EVENT_TYPES)
    named = {
        each for name, each in vars(events).items() if name.isupper() and isinstance(each, str)
    }
    assert named == set(EVENT_TYPES)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_golden_events_are_read_whole(name: str) -> None:
    value = (ROOT / "tests/golden" / f"{name}.json").read_bytes()
    event = events.decoded(value, events.Place("t", 0, 0))
    given = msgspec.json.decode(value)
    assert (event.id, event.type, event.subject) == (given["id"], name, given["subject"])
    _assert_same(given["data"], msgspec.to_builtins(event.data, builtin_types=(datetime, Decimal)))


def _assert_same(given: Any, read: Any) -> None:
    if isinstance(given, Mapping):
        for name, value in given.items():
            _assert_same(value, read[name])
    elif isinstance(given, list):
        for one, other in zip(given, read, strict=True):
            _assert_same(one, other)
    elif isinstance(read, datetime):
        assert datetime.fromisoformat(given) == read
    elif isinstance(read, Decimal):
        assert Decimal(str(given)) == read
    else:
        assert given == read


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_the_products(name: str) -> None:
    _assert_alike(getattr(records, name), getattr(outputs, name))


@pytest.mark.parametrize("name", ["ChallengeLog", "Event", "ActivityLog", "OwnedBy", "Fulfilment",
                                  "CheckIn", "Upload", "NaturalKey"])  # fmt: skip
def test_records_are_the_products(name: str) -> None:
    theirs = getattr(product, name)
    _assert_alike(getattr(writes, name), theirs, INTERNAL.get(theirs, set()))


COMMANDS = {
    each.__struct_config__.tag: each
    for each in product.MemberCommand.__args__
    if each is not product.CorrectProgress  # recalculations alone send it
}


@pytest.mark.parametrize("tag", COMMANDS)
def test_commands_are_the_products(tag: str) -> None:
    _assert_alike(writes.COMMANDS[tag], COMMANDS[tag], INTERNAL.get(COMMANDS[tag], set()))


def test_there_are_no_other_commands() -> None:
    assert set(writes.COMMANDS) == set(COMMANDS)


def test_members_have_the_same_ids() -> None:
    assert milestream_client.member_id("joé", "acme") == ids.member_id("acme", "joé")


def _writes() -> Iterator[writes.Write[Any]]:
    """One of each write that goes over HTTP."""
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    named: dict[str, Any] = {"user_id": "joe"}
    yield writes.ChallengeLog(
        challenge_id=CHALLENGE, activity_id="a", activity_at=moment, owned_by_id=CHALLENGE
    )
    yield writes.Event(event_id="a", metadata={"x": 1}, **named)
    yield writes.UpsertMember(external_id="joe", first_name="Joe")
    yield writes.SpendPoints(points=1, **named)
    yield writes.HoldPoints(points=1, **named)
    yield writes.CaptureHold(hold_identifier="order/7", **named)
    yield writes.ReleaseHold(hold_identifier="order/7", **named)
    yield writes.AdjustPoints(points=-1, reason="r", **named)
    yield writes.AssignTier(tier_set_id="s", tier_id=None, reason="r", **named)
    yield writes.Void(what="event", id=CHALLENGE, reason="r", **named)
    yield writes.ForgetMember(**named)


@pytest.mark.parametrize("write", list(_writes()), ids=lambda write: type(write).__name__)
def test_writes_are_calls_of_the_api(write: writes.Write[Any]) -> None:
    document = _document()
    call = calls.call_of(write, dry_run=False, trace=False)
    shown = re.sub("^/v1", "", call.path.replace("/joe/", "/{id}/"))
    shown = shown.replace("order%2F7", "{holdIdentifier}")
    described = document["paths"][shown]["post"]
    if call.content is None:
        assert "requestBody" not in described
        return
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert not list(_faults(schema, document, msgspec.json.decode(call.content)))


@cache
def _document() -> Any:
    return openapi.document(create_app(Settings()))


def _faults(schema: Any, document: Any, body: Any) -> Iterator[Any]:
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole).iter_errors(body)


def test_it_has_the_products_version() -> None:
    text = Path(ROOT / "pyproject.toml").read_text()
    assert f'version = "{milestream_client.__version__}"' in text

"""Sealed fields: what opens them, and that nothing else does."""

import secrets
import time
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Raw

from schemas import records, sealing
from schemas.records import PROFILE_FIELDS, OwnedBy, Owner, Profile, RecordError
from schemas.sealing import MemberKey, SealError

MASTER = bytes(range(32))
ANN, BOB = str(UUID(int=1)), str(UUID(int=2))
KEY = MemberKey("key-1", bytes(32))
WHOLE = OwnedBy(
    external_id="ann",
    first_name="Ann",
    last_name="Ärmel",
    email="ann@example.org",
    phone_number="+4915112345678",
    telephone="0151",
    country="DE",
    city=None,
    groups=["gold"],
    timezone="Europe/Berlin",
    attributes={"size": Raw(b"42"), "gone": Raw(b"null")},
)


def text_of(owner: OwnedBy = WHOLE, key: MemberKey = KEY, member_id: str = ANN) -> str:
    found = sealing.sealed(member_id, owner, key)
    assert found is not None
    return found


def test_every_field_comes_back_null_included() -> None:
    text = text_of()
    assert "Ann" not in text
    assert sealing.opened(ANN, text, KEY) == Profile(
        **{name: getattr(WHOLE, name) for name in PROFILE_FIELDS}
    )


def test_the_same_fields_never_give_the_same_text() -> None:
    assert text_of() != text_of()


def test_only_the_members_own_key_opens_it() -> None:
    text = text_of()
    assert sealing.key_id_of(text) == KEY.id
    assert sealing.opened(BOB, text, KEY) is None
    assert sealing.opened(ANN, text, sealing.new_key()) is None
    assert sealing.opened(ANN, text, MemberKey(KEY.id, secrets.token_bytes(32))) is None
    assert sealing.opened(ANN, text, MemberKey("another", KEY.key)) is None


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_no_character_of_it_can_be_changed(at: int) -> None:
    text = text_of()
    at = text.rindex(".") + 1 + at % 64
    changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    assert sealing.opened(ANN, changed, KEY) is None


@pytest.mark.parametrize("inside", ["", "A", "AAAA", "A" * 27, "A" * 100])
def test_what_is_too_short_or_no_base64_does_not_open(inside: str) -> None:
    assert sealing.opened(ANN, f"1.{KEY.id}.{inside}", KEY) is None


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"[]",
        b"{",
        b'{"firstName":1}',
        b'{"firstName":"\\u0000"}',
        b'{"phoneNumber":"12"}',
        b'{"timezone":"Mars/Olympus"}',
        b'{"email":"' + b"a" * 321 + b'"}',
        b'{"attributes":{"a b":1}}',
        b'{"attributes":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b"\xff",
    ],
)
def test_what_opens_to_no_profile_is_absent(plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(msgspec.json, "encode", lambda _: plain)
    assert sealing.opened(ANN, text_of(), KEY) is None


def test_members_without_fields_have_nothing_to_seal() -> None:
    nobody = OwnedBy(external_id="ann")
    assert not sealing.has_fields(nobody)
    assert sealing.sealed(ANN, nobody, KEY) is None
    assert sealing.has_fields(OwnedBy(external_id="ann", city=None))


def test_a_dry_run_carries_what_rules_may_use_under_a_key_of_its_own() -> None:
    key = sealing.dry_run_key(MASTER, ANN)
    text = sealing.sealed(ANN, WHOLE, key, sealing.FOR_RULES)
    assert text is not None
    assert sealing.key_id_of(text) == sealing.DRY_RUN_KEY
    opened = sealing.opened(ANN, text, sealing.dry_run_key(MASTER, ANN))
    assert opened is not None
    assert (opened.first_name, opened.last_name, opened.email) == (UNSET, UNSET, UNSET)
    assert (opened.country, opened.city, opened.groups) == ("DE", None, ["gold"])
    assert (
        key != sealing.dry_run_key(MASTER, BOB) != sealing.dry_run_key(secrets.token_bytes(32), BOB)
    )


def test_a_key_comes_back_from_its_record_under_the_master_key_alone() -> None:
    value = sealing.wrapped(MASTER, ANN, KEY)
    assert sealing.unwrapped(MASTER, ANN, KEY.id, value) == KEY
    for master, member, key_id in (
        (secrets.token_bytes(32), ANN, KEY.id),
        (MASTER, BOB, KEY.id),
        (MASTER, ANN, "another"),
    ):
        with pytest.raises(SealError):
            sealing.unwrapped(master, member, key_id, value)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"key":1}', b'{"key":"!"}', b"\xff"])
def test_what_has_no_form_of_a_key_is_none(value: bytes) -> None:
    with pytest.raises(ValueError, match="no key"):
        sealing.unwrapped(MASTER, ANN, KEY.id, value)


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (f"{ANN}/k-_1".encode(), (ANN, "k-_1")),
        (None, None),
        (b"", None),
        (ANN.encode(), None),
        (f"{ANN}/".encode(), None),
        (f"{ANN}/a/b".encode(), None),
        (b"ann/k", None),
        (f"{ANN}/\u00e4".encode(), None),
    ],
)
def test_the_names_of_keys(place: bytes | None, found: tuple[str, str] | None) -> None:
    assert sealing.split_key_place(place) == found
    if found is not None:
        assert sealing.key_place(*found) == place


def test_the_form_of_sealed_fields_is_checked_without_a_key() -> None:
    records.check_owner(Owner(external_id="ann", sealed=text_of()))
    for bad in ("", "1", "1.a", "1.a.", "1..AAAA", "2.a.AAAA", "1.a.A=", "1.a b.AAAA", "1.a.A.A"):
        with pytest.raises(RecordError, match="sealed: "):
            records.check_owner(Owner(external_id="ann", sealed=bad))


def test_a_member_is_sealed_as_a_whole() -> None:
    owner = Owner(external_id="ann", sealed=text_of(), email=None)
    with pytest.raises(RecordError, match="email: must not be given together with sealed"):
        records.check_owner(owner)


def test_the_form_is_checked_in_linear_time() -> None:
    text = "1.a." + "A" * 2_000_000 + "!"
    began = time.process_time()
    with pytest.raises(RecordError):
        records.check_owner(Owner(external_id="ann", sealed=text))
    assert time.process_time() - began < 1

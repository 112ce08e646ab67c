"""Sealing: AES-256-GCM, of secrets under the master key, and of a member's fields under a key of
its own. ``schemas/README.md#sealed-fields`` describes the formats.

What is sealed is bound to a label that says what it is and whose: nothing opens in the place of
another. A member is forgotten by the removal of its keys.
"""

import binascii
import hmac
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET

from schemas import ids, records
from schemas.json_limits import nests_too_deep
from schemas.records import PROFILE_FIELDS, OwnedBy, Profile, RecordError

KEY_BYTES = 32
NONCE_BYTES = 12

DRY_RUN_KEY: Final = "dry-run"
"""Names, in sealed text, a key that is on no topic: see ``dry_run_key``."""

FOR_RULES: Mapping[str, str] = {
    name: PROFILE_FIELDS[name] for name in ("country", "city", "groups", "timezone", "attributes")
}
"""Those of ``PROFILE_FIELDS`` that rules may look at: all that a dry run needs of a member."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_KEY_ID_BYTES = 9
_PROFILE = msgspec.json.Decoder(Profile)


class SealError(ValueError):
    """What is sealed does not open: under another key, for another place, or damaged."""


class MemberKey(NamedTuple):
    """A key of a member: ``id`` is unique among the member's keys."""

    id: str
    key: bytes


class KeyRecord(msgspec.Struct):
    """The value of a record of ``member-keys``: ``key`` is the key under the master key, in base64
    (nonce, ciphertext and tag)."""

    key: str


_KEY_RECORD = msgspec.json.Decoder(KeyRecord)


def seal(key: bytes, label: str, plain: bytes) -> bytes:
    """Return ``plain`` under a key of 32 bytes: nonce (12 bytes), ciphertext and tag (16).

    ``label`` is authenticated with it.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, label.encode())


def unseal(key: bytes, label: str, sealed: bytes) -> bytes:
    """Return what ``seal`` was given.

    Raises:
        SealError: it was sealed under another key or label, or was changed since.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: no nonce at all
        raise SealError("sealed under another key, for another place, or damaged") from error


def new_key() -> MemberKey:
    """Return a key that nobody else has."""
    return MemberKey(secrets.token_urlsafe(_KEY_ID_BYTES), secrets.token_bytes(KEY_BYTES))


def key_place(member_id: str, key_id: str) -> bytes:
    """Return the key that a record of ``member-keys`` has."""
    return f"{member_id}/{key_id}".encode()


def split_key_place(place: bytes | None) -> tuple[str, str] | None:
    """Return the member's id and the key's id that a record of ``member-keys`` is of; None where it
    is of none."""
    try:
        member_id, _, key_id = (place or b"").decode("ascii").partition("/")
    except UnicodeDecodeError:
        return None
    return (member_id, key_id) if ids.is_uuid(member_id) and _KEY_ID.fullmatch(key_id) else None


def wrapped(master_key: bytes, member_id: str, key: MemberKey) -> bytes:
    """Return the value of a key's record on ``member-keys``."""
    sealed = seal(master_key, _key_label(member_id, key.id), key.key)
    return msgspec.json.encode(KeyRecord(b64encode(sealed).decode()))


def unwrapped(master_key: bytes, member_id: str, key_id: str, value: bytes) -> MemberKey:
    """Return the key that a record of ``member-keys`` has.

    Raises:
        ValueError: the value has no form that a key's has.
        SealError: the key is under another master key.
    """
    try:
        sealed = b64decode(_KEY_RECORD.decode(value).key, validate=True)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise ValueError("no key") from error
    return MemberKey(key_id, unseal(master_key, _key_label(member_id, key_id), sealed))


def dry_run_key(master_key: bytes, member_id: str) -> MemberKey:
    """Return the key that a member's fields are sealed under in a dry run, which makes no key: it
    follows from the master key."""
    derived = hmac.new(master_key, f"milestream:dry-run:{member_id}".encode(), sha256)
    return MemberKey(DRY_RUN_KEY, derived.digest())


def sealed(
    member_id: str,
    owner: OwnedBy,
    key: MemberKey,
    fields: Iterable[str] = PROFILE_FIELDS,
) -> str | None:
    """Return the text of a member's fields under a key; None where none of ``fields`` is given."""
    given = {name: value for name in fields if (value := getattr(owner, name)) is not UNSET}
    if not given:
        return None
    plain = msgspec.json.encode(Profile(**given))
    text = urlsafe_b64encode(seal(key.key, _label(member_id, key.id), plain))
    return f"1.{key.id}.{text.decode().rstrip('=')}"


def has_fields(owner: OwnedBy) -> bool:
    """Tell whether any personal field of a member is given."""
    return any(getattr(owner, name) is not UNSET for name in PROFILE_FIELDS)


def key_id_of(text: str) -> str:
    """Return the id of the key that a text of ``sealed`` is under."""
    return text.split(".", 2)[1]


def opened(member_id: str, text: str, key: MemberKey) -> Profile | None:
    """Return the fields in a text of ``sealed``; None where they cannot be opened, or what is
    opened is no profile.

    It is never a refusal: whether a record counts must not change with the keys that are left.
    """
    try:
        inside = text.split(".", 2)[2]
        cipher = urlsafe_b64decode(inside + "=" * (-len(inside) % 4))
        plain = unseal(key.key, _label(member_id, key.id), cipher)
        if nests_too_deep(plain) or records.contains_nul(plain):
            return None
        profile = _PROFILE.decode(plain)
        records.check_profile(profile)
    except (SealError, RecordError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return profile


def _label(member_id: str, key_id: str) -> str:
    return f"milestream:profile:1:{member_id}/{key_id}"


def _key_label(member_id: str, key_id: str) -> str:
    return f"milestream:member-key:{member_id}/{key_id}"

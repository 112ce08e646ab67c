"""Tokens of end users: every rule that one must keep, and what happens when it is broken."""

import base64
import hmac
import json
import time
from datetime import datetime, tzinfo
from functools import cache
from hashlib import sha256
from typing import Any, Self

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.auth.credentials import TokenKey, public_key_algorithm
from api.auth.tokens import TokenError, check, claimed_project

SECRET = "the secret of acme, as it was printed, for HS256"
HS256 = TokenKey("HS256", SECRET)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims but for the changes; None leaves a claim out."""
    good = {"sub": "ann", "aud": "acme", "exp": int(time.time()) + 60}
    return {name: value for name, value in (good | changes).items() if value is not None}


@cache
def key_pair(kind: str) -> tuple[str, str]:
    """Return (private key, public key) as PEM."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65537, 2048)
        if kind == "RS256"
        else ec.generate_private_key(ec.SECP256R1())
    )
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def test_a_good_token_speaks_for_its_user() -> None:
    user = check(jwt.encode(claims(), SECRET), "acme", HS256)
    assert (user.project, user.user_id, user.is_admin) == ("acme", "ann", False)
    assert check(jwt.encode(claims(role="admin"), SECRET), "acme", HS256).is_admin


@pytest.mark.parametrize("extra", [{"iss": "shop"}, {"jti": 5}, {"role": 1}])
def test_other_claims_do_not_matter(extra: dict[str, Any]) -> None:
    assert check(jwt.encode(claims(**extra), SECRET), "acme", HS256).user_id == "ann"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_checks_tokens(algorithm: str) -> None:
    private, public = key_pair(algorithm)
    assert public_key_algorithm(public.encode()) == algorithm
    token = jwt.encode(claims(), private, algorithm=algorithm)
    assert check(token, "acme", TokenKey(algorithm, public)).user_id == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None}, {"sub": ""}, {"sub": "x" * 257}, {"sub": "a\0"}, {"sub": "\ud800"},
        {"exp": None}, {"exp": int(time.time()) - 86_400}, {"exp": "never"}, {"exp": 0},
        {"nbf": int(time.time()) + 86_400},
        {"iat": int(time.time()) + 86_400}, {"iat": "then"},
        {"aud": "another"},
    ],
)  # fmt: skip
def test_a_bad_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        check(jwt.encode(claims(**changes), SECRET), "acme", HS256)


def test_clocks_may_differ_by_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(now, tz)

    def token(name: str, seconds: int) -> str:
        return jwt.encode(claims(**{"exp": now + 60, name: now + seconds}), SECRET)

    monkeypatch.setattr("jwt.api_jwt.datetime", Frozen)
    for name, good, bad in (("exp", -29, -30), ("nbf", 30, 31), ("iat", 30, 31)):
        check(token(name, good), "acme", HS256)
        with pytest.raises(TokenError):
            check(token(name, bad), "acme", HS256)


@pytest.mark.parametrize("audience", [None, ["acme"], "", "Not A Project"])
def test_the_audience_is_one_project(audience: Any) -> None:
    with pytest.raises(TokenError):
        claimed_project(jwt.encode(claims(aud=audience), SECRET))


def test_a_list_as_audience_is_refused_when_checked_too() -> None:
    with pytest.raises(TokenError):
        check(jwt.encode(claims(aud=["acme"]), SECRET), "acme", HS256)


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(TokenError):
        check(jwt.encode(claims(), "", algorithm="none"), "acme", HS256)


def test_another_signature_is_refused() -> None:
    head, _, signature = jwt.encode(claims(), SECRET).rpartition(".")
    other = "A" if signature[0] != "A" else "B"
    for token in (
        jwt.encode(claims(), "another secret that is long enough"),
        jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        jwt.encode(claims(), key_pair("RS256")[0], algorithm="RS256"),
        f"{head}.{other}{signature[1:]}",
    ):
        with pytest.raises(TokenError):
            check(token, "acme", HS256)


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    public = key_pair("RS256")[1]
    parts = [{"alg": "HS256", "typ": "JWT"}, claims()]
    signed = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    signature = hmac.new(public.encode(), signed.encode(), sha256).digest()
    with pytest.raises(TokenError):
        check(f"{signed}.{_base64(signature)}", "acme", TokenKey("RS256", public))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_project_without_a_key_has_no_end_users() -> None:
    with pytest.raises(TokenError):
        check(jwt.encode(claims(), SECRET), "acme", None)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "..", "é.é.é", "x" * 20_000])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        claimed_project(text)

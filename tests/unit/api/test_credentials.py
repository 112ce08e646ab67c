"""What is kept of secrets, and which public keys are taken."""

import secrets

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.auth.credentials import CredentialsError, hash_of, public_key_algorithm, seal, unseal

MASTER = secrets.token_bytes(32)


def test_a_sealed_secret_comes_back_under_its_key_and_label() -> None:
    sealed = seal(MASTER, "key-1", "secret")
    assert b"secret" not in sealed
    assert sealed != seal(MASTER, "key-1", "secret")
    assert unseal(MASTER, "key-1", sealed) == "secret"


def test_another_master_key_or_label_does_not_open_it() -> None:
    sealed = seal(MASTER, "key-1", "secret")
    for master, label in ((secrets.token_bytes(32), "key-1"), (MASTER, "key-2"), (None, "key-1")):
        with pytest.raises(CredentialsError):
            unseal(master, label, sealed)


def test_without_a_master_key_a_secret_is_kept_as_it_is() -> None:
    assert unseal(None, "a", seal(None, "a", "secret")) == "secret"
    assert unseal(MASTER, "a", seal(None, "a", "secret")) == "secret"


def test_a_hash_says_nothing() -> None:
    assert len(hash_of("secret")) == 32
    assert hash_of("secret") != hash_of("secret ")


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_weak_odd_and_private_keys_are_refused() -> None:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for pem in (
        _pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
        _pem(ec.generate_private_key(ec.SECP384R1())),
        private,
        b"",
        b"nonsense",
    ):
        with pytest.raises(CredentialsError):
            public_key_algorithm(pem)

"""Signatures of calls, compatible with the platform's SDKs."""

import base64
import hmac
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

SIGNATURE = "sig"
"""The parameter that holds the signature: the only one that it does not cover."""

_PORTS = {"http": 80, "https": 443}


def expected(secret: str, method: str, url: str, values: Mapping[str, str]) -> str:
    """Return the signature that a call must have.

    `secret` is base64; `values` are all parameters.

    Raises:
        ValueError: the secret is no base64.
    """
    key = base64.b64decode(secret, validate=True)
    digest = hmac.digest(key, base_string(method, url, values).encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")


def agrees(given: str, right: str) -> bool:
    """Compare two signatures in constant time."""
    return hmac.compare_digest(given.encode(), right.encode())


def base_string(method: str, url: str, values: Mapping[str, str]) -> str:
    """Return the text that is signed: method, address and parameters in the order of names."""
    pairs = (
        f"{encoded(name)}={encoded(value)}"
        for name, value in sorted(values.items())
        if name != SIGNATURE
    )
    return f"{method.upper()}&{encoded(normalized(url))}&{encoded('&'.join(pairs))}"


def normalized(url: str) -> str:
    """Return an address with its scheme and host in lower case, and no port that goes without."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def encoded(text: str) -> str:
    """Return a text percent-encoded as RFC 3986 has it."""
    return quote(text, safe="-._~")

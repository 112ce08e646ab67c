"""A client as the platform's own Python SDK makes its requests, written after its public source.

It always POSTs a form, asks for `format=json` and `httpStatusCodes=false`, says which SDK it is,
takes the time in seconds and a nonce of milliseconds and chance, and signs what it sends.
"""

import base64
import calendar
import hmac
import json
import secrets
import time
import urllib.request
from collections.abc import Mapping
from hashlib import sha1
from typing import Any
from urllib.parse import quote_plus, urlparse

from tests.integration.api.serving import PATIENCE_SECONDS

Value = str | int | bool | list[Any] | dict[str, Any] | None


class SdkRequest:
    """A request that is signed when it is sent."""

    def __init__(
        self,
        api_key: str,
        secret: str,
        method: str,
        params: Mapping[str, Value],
        *,
        domain: str,
        proxy: str,
    ) -> None:
        self.params: dict[str, Value] = dict(params)
        self._api_key, self._secret = api_key, secret
        self._url = f"http://{method.partition('.')[0]}.{domain}/{method}"
        self._proxy = proxy

    def sign(self) -> bytes:
        """Return the form, with a signature of this moment."""
        self.params.setdefault("format", "json")
        self.params["httpStatusCodes"] = "false"
        self.params["sdk"] = "python_3.6.0"
        self.params["apiKey"] = self._api_key
        self.params["timestamp"] = calendar.timegm(time.gmtime())
        self.params["nonce"] = f"{round(time.time() * 1000)}{secrets.randbelow(1000)}"
        self.params.pop("sig", None)
        self.params["sig"] = self._signature()
        return self._query().encode()

    def send(self, form: bytes | None = None) -> dict[str, Any]:
        """Send a form, else one that is signed now; return the answer's data."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": self._proxy}))
        with opener.open(self._url, form or self.sign(), timeout=PATIENCE_SECONDS) as response:
            assert response.status == 200
            data: dict[str, Any] = json.loads(response.read().decode())
            return data

    def _signature(self) -> str:
        url = urlparse(self._url)
        normalized = f"{url.scheme.lower()}://{(url.hostname or '').lower()}{url.path}"
        base = f"POST&{_url_encode(normalized)}&{_url_encode(self._query())}"
        raw = hmac.new(base64.b64decode(self._secret), base.encode(), sha1).digest()
        return base64.b64encode(raw).decode()

    def _query(self) -> str:
        pairs = [(key, self.params[key]) for key in sorted(self.params)]
        return "&".join(f"{key}={_url_encode(value)}" for key, value in pairs if value is not None)


def _url_encode(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return quote_plus(text).replace("+", "%20").replace("%7E", "~")

"""The HTML pages: each is whole in itself and loads nothing from elsewhere."""

import base64
import re
from functools import cache
from hashlib import sha256
from importlib import resources

from fastapi import Response

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_OWN = "'self'"


@cache
def _load(name: str) -> tuple[str, str]:
    """Return a page, and the content security policy that lets its own code run, and no other."""
    text = resources.files("api.pages").joinpath(name).read_text("utf-8")
    allowed = (
        {"script": [_OWN], "style": [_OWN]} if "assets/" in text else {"script": [], "style": []}
    )
    for match in _INLINE.finditer(text):
        digest = base64.b64encode(sha256(match[2].encode()).digest()).decode("ascii")
        allowed[match[1]].append(f"'sha256-{digest}'")
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src data:; "
        f"script-src {' '.join(allowed['script'])}; "
        f"style-src {' '.join(allowed['style'])}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, policy


def page(name: str) -> Response:
    """Return one of the pages."""
    text, policy = _load(name)
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return Response(text, headers=headers, media_type="text/html")

"""The files of others that the pages are made of, served from the packages that carry them."""

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

_CARRIED_BY: Mapping[str, tuple[str, str, str]] = {
    "swagger-ui.css": ("fastapi_offline", "static/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("fastapi_offline", "static/swagger-ui-bundle.js", "text/javascript"),
}
"""By the name under ``/assets``: the package that has the file, where in it, and its type."""


class Asset(NamedTuple):
    """A file as it is sent."""

    compressed: bytes
    """By gzip: every browser takes it."""
    content: bytes
    media_type: str
    etag: str


@cache
def asset(name: str) -> Asset | None:
    """Return a file, None where there is none of that name; read and compressed once."""
    if name not in _CARRIED_BY:
        return None
    package, path, media_type = _CARRIED_BY[name]
    content = resources.files(package).joinpath(path).read_bytes()
    digest = sha256(content).hexdigest()[:32]
    return Asset(gzip.compress(content, mtime=0), content, media_type, f'"{digest}"')

"""The files that the pages are made of: our own, and others' from the packages that carry them."""

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import NamedTuple

_CARRIED_BY: Mapping[str, tuple[str, str, str]] = {
    "swagger-ui.css": ("fastapi_offline", "static/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("fastapi_offline", "static/swagger-ui-bundle.js", "text/javascript"),
}
"""By the name under ``/assets``: the package that has the file, where in it, and its type."""

_TYPES = {".css": "text/css", ".js": "text/javascript"}
_OWN = ("dashboard", "reference")
"""The folders beside this file whose files are served, each by its name."""


class Asset(NamedTuple):
    """A file as it is sent."""

    compressed: bytes
    """By gzip: every browser takes it."""
    content: bytes
    media_type: str
    etag: str


@cache
def _located() -> dict[str, tuple[Traversable, str]]:
    """Return by name where each file is, and its type."""
    located = {
        name: (resources.files(package).joinpath(path), media_type)
        for name, (package, path, media_type) in _CARRIED_BY.items()
    }
    pages = resources.files("api.pages")
    for file in (each for folder in _OWN for each in pages.joinpath(folder).iterdir()):
        if (media_type := _TYPES.get(PurePath(file.name).suffix)) is not None:
            located[file.name] = (file, media_type)
    return located


@cache
def asset(name: str) -> Asset | None:
    """Return a file, None where there is none of that name; read and compressed once."""
    found = _located().get(name)
    if found is None:
        return None
    file, media_type = found
    content = file.read_bytes()
    digest = sha256(content).hexdigest()[:32]
    return Asset(gzip.compress(content, mtime=0), content, media_type, f'"{digest}"')

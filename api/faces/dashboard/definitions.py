"""Definitions as YAML: what is in force, each version of it, and what changed in between."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from fastapi import Request, Response
from rapidfuzz.distance import Indel

from api import resources
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.http.component_refs import Schema, text
from api.http.problems import Problem, not_found
from api.http.yaml_text import yaml_of
from api.queries.dashboard import definitions as queries
from api.queries.record_listing import whole
from schemas import definitions as models

router = page_router()

SHOWN = 1_000
"""Definitions that are listed; the last written ones."""
VERSIONS = 100
MAX_LINES = 10_000
"""Lines of both texts that are compared; it takes time with their product, here some 50 ms."""
MAX_YAML_BYTES = 64 * models.KIB
"""What is longer is written as JSON, which is YAML too, and takes a hundredth of the time."""
MAX_VERSION = 10**13 - 1
CONTEXT = 3

_VERSION: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_VERSION}
_NAMED: list[Schema] = [
    {
        "name": "kind",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "enum": list(models.KINDS)},
    },
    {"name": "id", "in": "query", "required": True, "schema": text(minLength=1, maxLength=256)},
]
_ONE = {
    "parameters": [
        *_NAMED,
        {
            "name": "version",
            "in": "query",
            "description": "One of `versions`; the newest without it.",
            "schema": _VERSION,
        },
        {
            "name": "against",
            "in": "query",
            "description": "What it is compared with; the version before it without it.",
            "schema": _VERSION,
        },
    ],
    **refusals(404),
}


@router.get("/dashboard/definitions", summary="Definitions", openapi_extra=refusals())
async def list_(request: Request, caller: Reader) -> Response:
    """Answer each definition's last version, those written last first; deleted ones too. `more`:
    there may be others, which were written longer ago."""
    async with resources.of(request).reads.connection() as connection:
        found = await queries.newest(connection, caller.project, SHOWN + 1)
        many = await queries.are_many(connection, caller.project)
    return answer({"definitions": found[:SHOWN], "more": many or len(found) > SHOWN})


@router.get("/dashboard/definition", summary="A definition", openapi_extra=_ONE)
async def one(request: Request, caller: Reader) -> Response:
    """Answer a version as YAML, what it changed line by line, and which versions there are."""
    query = request.query_params
    kind, id_ = query.get("kind", ""), query.get("id", "")
    wanted = _version("version", query.get("version"))
    against = _version("against", query.get("against"))
    if kind not in models.KINDS or "\x00" in id_:
        raise not_found("definition", id_)
    held = resources.of(request)
    async with held.reads.connection() as connection:
        # First of all, for one may be written meanwhile; what was written does not change.
        versions = await queries.versions(connection, caller.project, kind, id_, VERSIONS)
        if wanted is None and versions:
            wanted = versions[0]["version"]
        after = None
        if wanted is not None:
            after = await queries.version(connection, caller.project, kind, id_, wanted)
        if after is None:
            raise not_found(kind, id_)
        number = after["before"] if against is None else against
        before = None
        if number is not None:
            before = await queries.version(connection, caller.project, kind, id_, number)
            if before is None:
                raise Problem(404, f"There is no version {number} of it.")
    async with held.comparing.permit(caller.project):
        shown = await asyncio.to_thread(_shown, caller.project, kind, before, after)
    return answer({"kind": kind, "id": id_, **shown, "versions": versions})


def _version(name: str, given: str | None) -> int | None:
    if given is None:
        return None
    return whole(name, given, default=0, least=0, most=MAX_VERSION)


def _shown(
    project: str, kind: str, before: dict[str, Any] | None, after: dict[str, Any]
) -> dict[str, Any]:
    """Return a version as text, and its lines beside those of an earlier one."""
    old = None if before is None else _yaml(project, kind, before["definition"])
    new = _yaml(project, kind, after["definition"])
    return {
        "version": after["version"],
        "at": after["at"],
        "actor": after["actor"],
        "yaml": new,
        "against": None if before is None else before["version"],
        "changes": changes((old or "").splitlines(), (new or "").splitlines()),
    }


def _yaml(project: str, kind: str, definition: str | None) -> str | None:
    """Return a definition as a document of `milestream apply`, None where it was deleted."""
    if definition is None:
        return None
    fields = models.decode_numbers(definition.encode())
    with suppress(models.DefinitionError):  # of before a rule that it breaks: as it was written
        fields = models.wire_fields(models.parse(kind, _given(fields)))
    document = {"kind": kind, "project": project, **_given(fields)}
    if len(definition) > MAX_YAML_BYTES:
        return msgspec.json.format(_JSON.encode(document), indent=2).decode()
    return yaml_of(document)


_JSON = msgspec.json.Encoder(decimal_format="number")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def changes(old: Sequence[str], new: Sequence[str]) -> list[list[str]] | None:
    """Return what changed: lines after "-" (only in the old text), "+" (only in the new one), " "
    (in both, beside a change) or "…" (some that did not change are left out).

    None where the texts are too long to compare.
    """
    if len(old) + len(new) > MAX_LINES:
        return None
    lines = list(_lines(old, new))
    changed = [place for place, (mark, _) in enumerate(lines) if mark != " "]
    beside = {near for place in changed for near in range(place - CONTEXT, place + CONTEXT + 1)}
    shown: list[list[str]] = []
    for place, line in enumerate(lines if changed else ()):
        if place in beside:
            shown.append(list(line))
        elif not shown or shown[-1] != _GAP:
            shown.append(_GAP)
    return shown


_GAP = ["…", ""]


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the lines of both texts; of what changed in one place, the old ones first."""
    added: list[tuple[str, str]] = []
    # Not difflib: some texts of 3,000 lines took it 18 s.
    for each in Indel.opcodes(old, new):
        if each.tag == "insert":
            added += [("+", line) for line in new[each.dest_start : each.dest_end]]
            continue
        if each.tag == "equal":
            yield from added
            added.clear()
        mark = " " if each.tag == "equal" else "-"
        yield from ((mark, line) for line in old[each.src_start : each.src_end])
    yield from added

"""`dryRun` and `trace` on writes: a call that is tried and does not count, and why it came out so.

Two faces have such calls. On every other write `dryRun` is refused: it must never be a real call.
"""

from typing import Any, NamedTuple

from fastapi import Request

from api.http.component_refs import Schema, ref
from api.http.problems import Problem, invalid

DRY_RUN, TRACE = "dryRun", "trace"


class Asked(NamedTuple):
    """What is wanted of a command: to try it only, and to tell which rules were looked at."""

    dry_run: bool = False
    trace: bool = False


FOR_REAL = Asked()

TRIED = "Tried"
"""The component of what a dry run and a trace add to an answer."""

SCHEMAS: dict[str, Schema] = {
    TRIED: {
        "type": "object",
        "properties": {
            TRACE: {
                "type": "array",
                "items": ref("TraceStep"),
                "description": "Of `trace=true`: the rules that were looked at, in order.",
            },
            DRY_RUN: {
                "type": "boolean",
                "enum": [True],
                "description": "Nothing came of it: `dryRun=true`.",
            },
        },
    }
}


def _flag(name: str, description: str) -> dict[str, Any]:
    schema = {"enum": ["true", "false"], "default": "false"}
    return {"name": name, "in": "query", "description": description, "schema": schema}


PARAMETERS: list[dict[str, Any]] = [
    _flag(DRY_RUN, "Answer as the real call would now, and change nothing."),
    _flag(TRACE, "Answer which rules were looked at as well."),
]


def answer(name: str) -> Schema:
    """Return the schema of an answer that may be a dry run's."""
    return {"allOf": [ref(name), ref(TRIED)]}


def asked(request: Request) -> Asked:
    """Return what a request asks for beside its command.

    Raises:
        Problem: 400, a parameter is neither true nor false.
    """
    return Asked(_says_true(request, DRY_RUN), _says_true(request, TRACE))


def unsupported() -> Problem:
    """Return the 400 of a write that cannot be tried: it must not be made for real."""
    detail = f"{DRY_RUN}: this call cannot be tried"
    errors = [(DRY_RUN, "is not possible here")]
    return Problem(400, detail, code="dry_run_unsupported", errors=errors)


def _says_true(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise invalid(name, "must be true or false")
    return value == "true"

"""Dead letters: by reason and one by one, and sent back by admins."""

import asyncio
import logging
import math
import re
import time
from base64 import b64decode
from typing import Annotated, Any

import msgspec
from aiokafka.errors import KafkaError, ProducerFenced
from fastapi import Depends, Request, Response

from api import resources
from api.auth.access import Caller, require
from api.auth.credentials import Role
from api.auth.quotas import bucket_of
from api.dead_letters import redriving
from api.dead_letters.redriven import Filter, Redriven
from api.dead_letters.redriving import Bounds, RedriveOutcome, TooManyChosen
from api.dead_letters.turns import NotNow
from api.faces.dashboard.answers import Reader, answer, page_router, refusals
from api.http import bodies
from api.http.component_refs import Schema, text
from api.http.problems import Problem, invalid, not_found
from api.kafka.processor_client import unavailable
from api.queries.dashboard import dead_letters as queries
from api.queries.dashboard.dead_letters import Passed
from api.queries.operations import snapshot
from api.queries.record_listing import whole
from api.resources import Resources
from schemas.dead_letter import Reason
from schemas.kafka.single_use import NoSuchTopic
from schemas.places import OFFSET_BITS, place
from schemas.topics import MIB

logger = logging.getLogger(__name__)

router = page_router()

Writer = Annotated[Caller, Depends(require(Role.ADMIN))]
"""Who may send letters back."""

SHOWN = 50
MAX_OFFSET = 10_000
MAX_CHOSEN = 100
ONE_CALL = Bounds(letters=1_000, bytes=64 * MIB, seconds=5)
"""What one call does at most; the page calls again while there is more."""
SECONDS = 30
"""How long a call may take; a redrive that is cut off has sent whole transactions, or nothing."""
PATIENCE_SECONDS = 20
"""How long a call waits for its turn; none of that is of its own time."""
LETTERS_PER_SECOND, LETTERS_AT_ONCE = 500, 2_000
"""How many letters a project's calls send: a small part of what one worker folds."""
LEAST = 50
"""What a call counts for at least: it reads how far all redrives are."""
MAX_PARTITION = 2**15 - 1
MAX_VALUE_CHARACTERS = 64 * 1024
MAX_HEADER_CHARACTERS, MAX_HEADERS = 1024, 100

_MAX_BASE64 = 8 * MAX_VALUE_CHARACTERS
"""How much of a value is fetched: it may have 4 MiB, and a character takes six at most."""
_WHAT = "dead letter"
_CUT_OFF = "The redrive was cut off: what was sent stays sent; look, and repeat it."
_PLACE = re.compile(r"([0-9]{1,5})-([0-9]{1,15})", re.ASCII)


class RedriveBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which letters go back: these, or all of a reason, or all of the project."""

    letters: list[str] | None = None
    reason: Reason | None = None


def _query(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


_REASONS: Schema = {"type": "string", "enum": [each.value for each in Reason]}
_OFFSET: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}
_LIST = {
    "parameters": [
        _query("reason", "Those of a reason.", _REASONS),
        _query("state", "Those that wait, or all.", {"enum": ["waiting", "all"]}),
        _query("offset", "After so many.", _OFFSET),
    ],
    **refusals(),
}
_REDRIVE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "letters": {
                            "type": "array",
                            "items": text(pattern=f"^{_PLACE.pattern}$"),
                            "minItems": 1,
                            "maxItems": MAX_CHOSEN,
                        },
                        "reason": {"anyOf": [_REASONS, {"type": "null"}]},
                    },
                }
            }
        },
    },
    **refusals(409, 413, 429),
}


@router.get("/dashboard/dead-letters", summary="Dead letters", openapi_extra=_LIST)
async def list_(request: Request, caller: Reader) -> Response:
    """Answer how many letters there are of each reason, and a page of them, the newest first.

    Of a reason with `more` only the newest were counted; without `whole` only the newest were
    looked at.
    """
    query = request.query_params
    reason = _reason(query.get("reason"))
    if (state := query.get("state", "waiting")) not in ("waiting", "all"):
        raise invalid("state", "must be waiting or all")
    offset = whole("offset", query.get("offset"), default=0, least=0, most=MAX_OFFSET)
    held = resources.of(request)
    passed = _passed(await held.redriven.current(), caller.project)
    async with held.reads.connection() as connection, snapshot(connection):
        reasons = await queries.reasons(connection, caller.project, passed)
        letters = await queries.page(
            connection,
            caller.project,
            passed,
            reason=reason,
            waiting=state == "waiting",
            offset=offset,
            limit=SHOWN + 1,
        )
    meant = [each for each in reasons if reason in (None, each["reason"])]
    most = queries.LOOKED_THROUGH
    whole_ = not any(e["more"] for e in meant) and sum(e["letters"] for e in meant) <= most
    more = len(letters) > SHOWN
    return answer({"reasons": reasons, "letters": letters[:SHOWN], "more": more, "whole": whole_})


def _passed(redriven: Redriven, project: str) -> Passed:
    failed, chosen = redriven.failed_places(project), redriven.chosen_places(project)
    return Passed(redriven.passed(project), failed, chosen)


def _reason(given: str | None) -> str | None:
    if given is not None and given not in _REASONS["enum"]:
        raise invalid("reason", f"must be one of {', '.join(_REASONS['enum'])}")
    return given


@router.get("/dashboard/dead-letters/{id}", summary="A dead letter", openapi_extra=refusals(404))
async def one(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a letter with the record that was refused, as text."""
    found = None
    if (wanted := _place(id)) is not None:
        held = resources.of(request)
        async with held.reads.connection() as connection:
            found = await queries.one(connection, caller.project, place(*wanted), _MAX_BASE64)
    if found is None:
        raise not_found(_WHAT, id)
    return answer({"id": id, **_readable(found)})


def _readable(found: dict[str, Any]) -> dict[str, Any]:
    """Return a letter whose value and headers are text, as far as they are any."""
    value, long = _text(found["value"], MAX_VALUE_CHARACTERS), found.pop("isLong")
    headers = [
        {"key": each["key"][:MAX_HEADER_CHARACTERS], "value": text}
        for each in found["headers"][:MAX_HEADERS]
        for text in [_text(each["value"], MAX_HEADER_CHARACTERS)]
    ]
    cut = long or (value is not None and len(value) == MAX_VALUE_CHARACTERS)
    return {**found, "value": value, "valueIsCut": cut, "headers": headers}


def _text(value: str | None, most: int) -> str | None:
    """Return the first characters of bytes that are given as base64."""
    if value is None:
        return None
    # A character is four bytes at most, and three bytes are four of base64.
    return b64decode(value[: 4 * -(-4 * most // 3)]).decode("utf-8", "replace")[:most]


def _place(letter: str) -> tuple[int, int] | None:
    """Return the partition and offset in a letter's id, None where it is none."""
    match = _PLACE.fullmatch(letter)
    if match is None or int(match[1]) > MAX_PARTITION or int(match[2]) >> OFFSET_BITS:
        return None
    return int(match[1]), int(match[2])


@router.post("/dashboard/redrive", summary="Redrive", openapi_extra=_REDRIVE)
async def redrive(request: Request, caller: Writer) -> Response:
    """Send letters back to their topics, each once: some, those of a reason, or all of the project.

    One call sends at most 1,000; while the answer has `more`, the same again goes on. 429 where the
    project's calls have sent too many lately.
    """
    body = await bodies.read(request, RedriveBody, caller.project)
    held = resources.of(request)
    if body.letters is not None and body.reason is not None:
        raise invalid("letters", "must be left out where there is a reason")
    chosen = None if body.letters is None else _chosen(body.letters)
    try:
        async with held.redrives.turn(caller.project, PATIENCE_SECONDS):
            outcome = await _redriven(held, caller.project, body.reason, chosen)
    except NotNow as error:
        raise _running("Other redrives are running; repeat this one in a while.") from error
    except TooManyChosen as error:
        detail = "Too many were sent one by one: send all of a reason, or all, which makes room."
        raise Problem(409, detail, code="too_many_chosen") from error
    except ProducerFenced as error:
        detail = "Another redrive began meanwhile and took over; what was sent stays sent."
        raise _running(detail) from error
    except (KafkaError, NoSuchTopic, TimeoutError) as error:
        logger.warning("a redrive was cut off: %r", error)
        raise unavailable(_CUT_OFF) from error
    return answer(_told(outcome))


async def _redriven(
    held: Resources, project: str, reason: Reason | None, chosen: list[tuple[int, int]] | None
) -> RedriveOutcome:
    """Redrive what the project's budget lets it.

    Raises:
        Problem: 429.
    """
    bucket = bucket_of("redrive", project)
    left = held.quotas.left(bucket, LETTERS_PER_SECOND, LETTERS_AT_ONCE, time.monotonic())
    if left < max(LEAST, len(chosen or ())):
        raise _too_many(left)
    bounds = ONE_CALL._replace(letters=min(ONE_CALL.letters, int(left)))
    outcome = None
    try:
        async with asyncio.timeout(SECONDS):
            if chosen is None:
                wanted = Filter(reason, project)
                outcome = await redriving.redrive(held.settings, held.records, wanted, bounds)
            else:
                outcome = await redriving.redrive_chosen(
                    held.settings, held.records, project, chosen
                )
    finally:
        # What was cut off may have sent all that it was to.
        most = len(chosen) if chosen is not None else bounds.letters
        sent = most if outcome is None else sum(outcome.sent.values()) + len(outcome.failed)
        held.quotas.spend(bucket, max(LEAST, sent))
    return outcome


def _too_many(left: float) -> Problem:
    wait = max(1, math.ceil((LETTERS_AT_ONCE / 2 - left) / LETTERS_PER_SECOND))
    return Problem(
        429,
        f"The project has sent back as many as workers are to take at once: at most "
        f"{LETTERS_PER_SECOND} a second; repeat this in {wait} s.",
        code="too_many_redriven",
        headers={"retry-after": str(wait)},
    )


def _running(detail: str) -> Problem:
    return Problem(409, detail, code="redrive_running")


def _chosen(letters: list[str]) -> list[tuple[int, int]]:
    """Return the places of chosen letters.

    Raises:
        Problem: 400.
    """
    if not 0 < len(letters) <= MAX_CHOSEN:
        raise invalid("letters", f"must be 1 to {MAX_CHOSEN}")
    chosen = []
    for letter in letters:
        if (found := _place(letter)) is None:
            raise invalid("letters", "must be ids of dead letters")
        chosen.append(found)
    return chosen


def _told(outcome: RedriveOutcome) -> dict[str, Any]:
    """Return what a redrive did."""
    sent = [
        {"topic": topic, "reason": reason, "letters": count}
        for (topic, reason), count in sorted(outcome.sent.items())
    ]
    failed = [
        {"id": f"{found.partition}-{found.offset}", "message": why} for found, why in outcome.failed
    ]
    return {
        "sent": sent,
        "failed": failed,
        "redriven": outcome.redriven,
        "gone": outcome.gone,
        "more": outcome.more,
    }

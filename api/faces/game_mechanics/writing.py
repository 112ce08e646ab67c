"""`gm.notifyAction` and `gm.redeemPoints`: commands to the processor, and its replies."""

import uuid

import msgspec
from fastapi import Response
from msgspec import Raw

from api.faces.game_mechanics.calls import Call, unknown_user
from api.faces.game_mechanics.challenge_status import challenges
from api.faces.game_mechanics.errors import BAD_VALUE, PENDING, CallError, bad, from_problem
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.presentation import Presentation
from api.http import bodies
from api.http.dry_runs import DRY_RUN
from api.http.problems import Problem
from api.kafka.processor_client import refusal
from api.queries.users import balances
from schemas import ids, records
from schemas.amounts import MAX_POINTS
from schemas.dead_letter import Reason
from schemas.records import ABSENT
from schemas.topics import EVENTS, MEMBER_COMMANDS

IDENTIFIER = "uniqueIdentifier"
"""The parameter that identifies a repetition of a call. It is generated where it is absent, and
returned."""

MAX_IDENTIFIER = 512
_MODELS = ("points_totals", "points_balances")


class _Result(msgspec.Struct, rename="camel"):
    """What is told of a logged event."""

    points: int


class _EventReply(msgspec.Struct):
    """The part of the processor's answer to an event that counts here."""

    data: _Result


class _Entry(msgspec.Struct, rename="camel"):
    """What is told of the ledger's entry that a redemption made."""

    challenge_group: str
    points: int
    balance: int


async def notify(call: Call, presentation: Presentation) -> Response:
    """Log an action as the event of that name; respond with its points."""
    _refuse_dry_run(call.parameters)
    user_id = call.parameters.required("UID")
    key = _identifier(call.parameters)
    metadata = attributes(call.parameters)
    most = call.held.definitions.limits(call.project).metadata_bytes
    if len(bytes(metadata)) > most:
        raise bad("actionAttributes", f"may have at most {most} bytes")
    event = records.Event(
        project=call.project,
        event_id=call.parameters.required("action"),
        user_id=user_id,
        metadata=metadata,
        idempotency_key=key,
        ip=call.ip(),
    )
    named: dict[str, object] = {
        "id": ids.event_log_id(call.project, call.member_id(user_id), key),
        IDENTIFIER: key,
    }
    body = await _ask(call, user_id, EVENTS, records.encode(event), named)
    result = msgspec.json.decode(body, type=_EventReply).data
    return presentation.success(
        {"actionID": event.event_id, "points": result.points, IDENTIFIER: key}
    )


async def redeem(call: Call, presentation: Presentation) -> Response:
    """Redeem a user's points; respond with the entry and the balance after it."""
    _refuse_dry_run(call.parameters)
    user_id = call.parameters.required("UID")
    call.parameters.required("points")
    points = call.parameters.whole("points", 1, MAX_POINTS)
    assert points is not None
    key = _identifier(call.parameters)
    command = records.RedeemPoints(
        project=call.project,
        user_id=user_id,
        points=points,
        unique_identifier=key,
        challenge_group=call.parameters.text("challenge"),
        ip=call.ip(),
    )
    await _require_challenge(call, command.challenge_group)
    member_id = call.member_id(user_id)
    named: dict[str, object] = {
        "id": ids.redemption_id(call.project, member_id, key),
        IDENTIFIER: key,
    }
    body = await _ask(call, user_id, MEMBER_COMMANDS, records.encode(command), named)
    entry = msgspec.json.decode(body, type=_Entry)
    return presentation.success(
        {
            "challengeID": entry.challenge_group,
            "points": entry.points,
            "pointsTotal": entry.balance,
            IDENTIFIER: key,
        }
    )


async def _require_challenge(call: Call, group: str | None) -> None:
    """Refuse a redemption from an unknown challenge: a misspelt one has no points.

    Raises:
        CallError: no definition names the challenge and the user never had points in it.
    """
    definitions = await call.held.definitions.current()
    if group is None or group in challenges(definitions, call.project, ()):
        return
    if not await call.held.barrier.wait(("members", *_MODELS)):
        return  # Too far behind to tell: the processor judges by what it has.
    async with call.member(*_MODELS) as (connection, member_id):
        _, own = await balances(connection, call.project, member_id)
    if group not in own:
        raise bad("challenge", "there is no such challenge")


def _refuse_dry_run(parameters: Parameters) -> None:
    """Refuse a call that is not meant for real: it cannot be tried.

    Raises:
        CallError: it says that it is a dry run, or that it is none.
    """
    if DRY_RUN in parameters.values:
        raise bad(DRY_RUN, "dry_run_unsupported: this call cannot be tried")


def _identifier(parameters: Parameters) -> str:
    return parameters.text(IDENTIFIER, MAX_IDENTIFIER) or str(uuid.uuid4())


def attributes(parameters: Parameters) -> Raw:
    """Return the action's attributes, the metadata of the event that it becomes.

    Raises:
        CallError: they are no JSON object, or hold text that no record may.
    """
    text = (parameters.values.get("actionAttributes") or "").strip()
    if not text:
        return ABSENT
    try:
        raw = bodies.checked(text.encode())
        msgspec.json.decode(raw, type=Raw)  # validates without decoding
        if raw.lstrip()[:1] == b"{":
            return Raw(raw)
    except Problem as problem:
        raise bad("actionAttributes", problem.detail) from None
    except (msgspec.DecodeError, RecursionError):
        pass  # said below
    raise bad("actionAttributes", "must be a JSON object")


async def _ask(call: Call, user_id: str, topic: str, value: bytes, named: dict[str, object]) -> Raw:
    """Send a record to the processor; return the body of its reply.

    `named` is what a caller has to know of a record whose reply does not come.

    Raises:
        CallError: it refuses, or does not answer in time.
    """
    reply = await call.held.processor.send(topic, call.member_id(user_id), value)
    if reply is None:
        details = (
            "it was taken and will count, but its result did not come in time; "
            f"a repetition with this {IDENTIFIER} counts once"
        )
        raise CallError(PENDING, details, fields=named)
    if reply.status >= 400:
        raise _refused(refusal(reply))
    return reply.body


_OWN_NAMES = {"eventId": "action", "metadata": "actionAttributes"}


def _refused(problem: Problem) -> CallError:
    """Return the error that the processor's refusal is, with the parameter's name on this face."""
    if problem.code == Reason.UNKNOWN_MEMBER:
        return unknown_user()
    if problem.status >= 500 or not problem.errors:
        return from_problem(problem)
    field, message = problem.errors[0]
    first, dot, rest = field.partition(".")
    name = _OWN_NAMES.get(first, first) + dot + rest
    return CallError(BAD_VALUE, f"{name}: {message}", about=name)

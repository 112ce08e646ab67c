"""What a write is answered, whichever way it went."""

from typing import Any, Generic, TypeVar

import msgspec

from milestream_client import records
from milestream_client.errors import MilestreamError, Unanswered, refusal
from milestream_client.records import Json
from milestream_client.writes import Event, Write

A = TypeVar("A")


class Answer(msgspec.Struct, Generic[A], kw_only=True, frozen=True):
    """What a write led to.

    `record` is the answer's body, typed by the write. `repeated` is true where a challenge log was
    known already: `record` is the first answer then, and nothing was counted twice. Of other writes
    it says nothing: what has an identity answers a repeat as it did the first time, but for an
    activity log, which is `Refused` then, with the code `duplicate`. `status` is the HTTP status.
    `trace` are the rules that were looked at, where they were asked for.
    """

    record: A
    status: int
    repeated: bool = False
    dry_run: bool = False
    trace: list[Json] | None = None
    request_id: str | None = None


class _Tried(msgspec.Struct, rename="camel"):
    trace: list[Json] | None = None
    dry_run: bool = False


class _Duplicate(msgspec.Struct):
    code: str = ""
    record: msgspec.Raw = msgspec.Raw()


class _EventBody(msgspec.Struct):
    data: records.EventAnswer


class Misunderstood(MilestreamError):
    """An answer has not the shape that this version of the package expects."""


def read(write: Write[A], status: int, body: bytes, request_id: str | None = None) -> Answer[A]:
    """Return what an answer says of a write.

    Raises:
        Refused: it is a refusal.
        Unanswered: a fault (5xx) hides what came of the write.
        Misunderstood: it cannot be read.
    """
    repeated = status == 409 and (first := _first_answer(body)) is not None
    if status >= 500:
        raise Unanswered(str(refusal(status, body, request_id)), taken=None)
    if status >= 400 and not repeated:
        raise refusal(status, body, request_id)
    try:
        tried = msgspec.json.decode(body, type=_Tried)
        record = _record(write, first if repeated and first is not None else body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misunderstood(f"the answer {status} to {type(write).__name__}: {error}") from error
    return Answer(
        record=record,
        status=status,
        repeated=repeated,
        dry_run=tried.dry_run,
        trace=tried.trace,
        request_id=request_id,
    )


def _first_answer(body: bytes) -> bytes | None:
    try:
        found = msgspec.json.decode(body, type=_Duplicate)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return bytes(found.record) or None if found.code == "duplicate" else None


def _record(write: Write[Any], body: bytes) -> Any:
    if isinstance(write, Event):
        return msgspec.json.decode(body, type=_EventBody).data
    return msgspec.json.decode(body, type=write.answer_type)

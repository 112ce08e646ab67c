"""What can go wrong, each with what a program and a person need to know of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field, by its name on the wire."""

    field: str
    message: str


class MilestreamError(Exception):
    """Anything that this package raises of its own."""


class InvalidWrite(MilestreamError):
    """A write cannot be what it says; it was not sent.

    Attributes:
        field: the field at fault, by its name on the wire; empty for the whole write.
        message: what is wrong with it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class Refused(MilestreamError):
    """Milestream refused a call: the try that was answered so changed nothing.

    Attributes:
        taken: False where no other try was made that may count, so that nothing was changed; None
            where an earlier try of the same call may have been taken, True where one was. Of a
            read or a dry run it says nothing.
        status: the HTTP status.
        code: a stable word for programs, `insufficient_points` for one; may be empty.
        message: what is wrong, for people.
        errors: what is wrong with which field.
        body: the whole answer.
        request_id: what to name to whoever operates Milestream; None over Kafka.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        body: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        taken: bool | None = False,
    ) -> None:
        super().__init__(f"{status} {code}: {message}" if code else f"{status}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = tuple(errors)
        self.body = body or {}
        self.request_id = request_id
        self.taken = taken

    @property
    def field(self) -> str | None:
        """The first field at fault, None where none is named."""
        return self.errors[0].field if self.errors else None


class Unanswered(MilestreamError):
    """No answer came that says what became of a write: until the deadline, to what must not be sent
    twice by itself, or because of a fault there (5xx). To send the same write again is safe where
    it has an identity.

    Attributes:
        taken: True where Milestream said that it has the write, and will fold it; False where it
            has not got it; None where nobody knows.
        id: the id that the write's record has or will have, where that was said.
    """

    def __init__(self, why: str, *, taken: bool | None, id: str | None = None) -> None:  # noqa: A002  # as on the wire
        super().__init__(why)
        self.taken = taken
        self.id = id


class UndecodableEvent(MilestreamError):
    """A record of an output topic is no event of the shape that its type says.

    Attributes:
        topic, partition, offset: where it lies.
    """

    def __init__(self, topic: str, partition: int, offset: int, why: str) -> None:
        super().__init__(f"{topic}/{partition}/{offset}: {why}")
        self.topic = topic
        self.partition = partition
        self.offset = offset


def refusal(status: int, content: bytes, request_id: str | None = None) -> Refused:
    """Return the refusal that an answer of any face, or a reply over Kafka, is."""
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        decoded = None
    body: dict[str, Any] = decoded if isinstance(decoded, dict) else {}
    message = str(body.get("detail") or body.get("message") or "no reason was given")
    code = str(body.get("code") or "")
    errors = _errors(body, status, message)
    return Refused(status, code, message, errors=errors, body=body, request_id=request_id)


def _errors(body: Mapping[str, Any], status: int, message: str) -> list[FieldError]:
    try:
        given = msgspec.convert(body.get("errors", []), list[FieldError])
    except msgspec.ValidationError:
        given = []
    if given or status not in (400, 403, 413, 422):
        return given
    # Faces without `errors` begin their message with the field at fault.
    name, colon, why = message.partition(": ")
    return [FieldError(name, why)] if colon and len(name.split()) == 1 else []

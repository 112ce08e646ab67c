"""When a call is tried again: one rule for clients that wait and clients that await.

A conversation is a generator. It yields what to do next (`Ask` or `Pause`) and is sent what came
back; what it returns is the result. So the rule does no input or output itself, and has no clock.
"""

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from milestream_client.errors import Refused, Unanswered, refusal

R = TypeVar("R")

ASK_SECONDS = 10.0
"""How long one try takes at most, to the last byte of its answer: Milestream itself gives up, and
says so, after 5."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
AGAIN = frozenset({408, 429, 502, 503, 504})
"""Answers that say "not now"."""
TAKEN = 202
LIMITED = 429
FAULT = 500
"""From here on an answer does not say what came of a call."""


@dataclass(frozen=True)
class Ask:
    """Make the call, and wait at most so long for its answer."""

    seconds: float


@dataclass(frozen=True)
class Pause:
    """Wait so long."""

    seconds: float


@dataclass(frozen=True)
class Heard:
    """An answer. `retry_after` is what its header says, in seconds; None where it says nothing."""

    status: int
    body: bytes
    retry_after: float | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Lost:
    """No answer: the connection could not be made (`sent` False), or broke."""

    why: str
    sent: bool


Conversation = Generator[Ask | Pause, Heard | Lost | None, R]


class _Taken(msgspec.Struct):
    id: str | None = None


def conversation(
    understand: Callable[[Heard], R],
    deadline: float,
    *,
    repeatable: bool,
    clock: Callable[[], float],
    chance: Callable[[], float] = random.random,
) -> Conversation[R]:
    """Ask until there is an answer that `understand` makes a result of, or the deadline is near.

    Between tries there is a pause that grows, with chance in it so that many do not come back
    together; where the answer says how long to wait, it is no shorter than that. What is not
    `repeatable` is tried again only where the former try cannot have had an effect.

    Args:
        deadline: in seconds from now; all tries and pauses together take no longer.
        clock: seconds that never go back.

    Raises:
        Unanswered: no answer came in time, or a fault (5xx) hides what came of it.
        Refused: `understand` raised it; `taken` is what earlier tries leave open.
    """
    end = clock() + deadline
    taken: bool | None = False
    id_: str | None = None
    pause = FIRST_PAUSE_SECONDS
    while True:
        heard = yield Ask(min(ASK_SECONDS, max(end - clock(), 0.001)))
        least = 0.0
        if isinstance(heard, Heard):
            if heard.status != TAKEN and heard.status not in AGAIN:
                return _result(understand, heard, taken, id_)
            why, least = _why(heard), heard.retry_after or 0.0
            if heard.status == TAKEN:
                taken, id_ = True, _id_of(heard.body) or id_
        else:
            assert heard is not None
            why = heard.why
        if not taken and _may_have_arrived(heard):
            taken = None
        wait = max(least, pause * (0.5 + chance() / 2))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        if (not repeatable and taken is not False) or clock() + wait >= end:
            raise Unanswered(why, taken=taken, id=id_)
        yield Pause(wait)


def _result(
    understand: Callable[[Heard], R], heard: Heard, taken: bool | None, id_: str | None
) -> R:
    if heard.status >= FAULT:
        raise Unanswered(_why(heard), taken=taken or None, id=id_)
    try:
        return understand(heard)
    except Refused as refused:
        refused.taken = taken
        raise


def _may_have_arrived(heard: Heard | Lost) -> bool:
    """Tell whether a try without a result may have had an effect.

    Only what was not sent, and what a limit turned away, cannot have: a gateway does not know, and
    the API says 503 as well where a broker did not acknowledge in time what it may have.
    """
    return heard.sent if isinstance(heard, Lost) else heard.status != LIMITED


def _why(heard: Heard) -> str:
    if heard.status == TAKEN:
        return "it was taken, and not answered in time"
    said: Refused = refusal(heard.status, heard.body, heard.request_id)
    return str(said)


def _id_of(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Taken).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
